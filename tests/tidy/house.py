"""house.py: the tables of the house: rooms, who may include whom, who owns which foreign header, bounds.

The order of the sub-rooms is not here: it is the table in ARCHITECTURE.md (order.py reads it).
"""

ROOMS = ("protocol", "storage", "broker", "clients", "bench", "tests")
PRODUCT = ("protocol", "storage", "broker", "clients", "bench")

# A unit is a library or program: its folders have an order among themselves.
UNITS = ("protocol", "storage", "broker", "clients/c", "clients/cli", "clients/examples", "bench")

# Which rooms a room may include from.
MAY_INCLUDE = {
    "protocol": ("protocol",),
    "storage": ("storage", "protocol"),
    "broker": ("broker", "storage", "protocol"),
    "clients": ("clients", "protocol"),
    "bench": ("bench", "clients", "protocol"),
    "tests": ROOMS,
}

# A file that may include from more rooms, also what is private there, and what for.
MAY_ALSO_INCLUDE = {
    "bench/probe/regress.c": ("storage", "broker"),  # counts the instructions of a request's path through both
}

PROGRAMS = ("bench/probe/raw.c", "bench/probe/regress.c")  # as a main.c: they offer nothing, so they have no header

# Names that the build puts on the include path; everything else is written from the root.
BUILD_HEADERS = ("halfmq_version.h", "halfmq.h")

# Foreign header -> the product files that may know it. Examples are written as a user would write
# them and may use what they like.
FOREIGN = (
    ("msgpack.h", ("protocol/rpc/rpc*.c",)),
    ("msgpack/*", ("protocol/rpc/rpc*.c",)),
    ("xxhash.h", ("protocol/base/text.c", "protocol/base/digest.c")),
    # bench/probe/raw.c is what the store is measured against: it must reach RocksDB past everything of ours.
    ("rocksdb/*", ("storage/disk/kv*", "bench/probe/raw.c")),
    ("event2/http*.h", ("broker/http.c", "broker/http_login.*", "broker/webhook/webhook_call.c", "broker/webhook/webhook_pool.c")),
    ("event2/dns*.h", ("broker/webhook/webhook_dns.c",)),
    ("jwt.h", ("broker/auth/token.c",)),
    ("openssl/*", ("broker/auth/*", "broker/webhook/webhook_sign.c", "broker/base/json.c", "broker/tls/*.c", "clients/c/wire/net_tls.c", "clients/cli/print/bytes.c")),
    ("event2/*", ("broker/*", "clients/c/adapters/*")),
    ("isa-l/*", ("broker/base/store_checksum.c",)),
    ("cjson/*", ("broker/base/json.c", "clients/cli/*", "bench/*")),
    ("cJSON.h", ("broker/base/json.c", "clients/cli/*", "bench/*")),
    ("hiredis*", ("clients/cli/*", "bench/*")),
    ("*sqlite3.h", ()),
    ("histedit.h", ("clients/cli/*",)),
    ("editline/*", ("clients/cli/*",)),
    ("*libsmartcols.h", ("clients/cli/*",)),
)

FILE_LINES_MAX = 800
HEADER_LINES_MAX = 300
FOLDER_FILES_MAX = 20  # .c files
PUBLIC_HEADERS = ("clients/c/halfmq.h",)  # also the reference of the library, which promises that it is one file
PUBLIC_HEADER_LINES_MAX = 1200
FUNCTION_LINES_MAX = 70
COMMENT_FROM_LINES = 150
PREFIX_FROM_LINES = 150  # a .c longer than this: its statics carry its word
STATIC_FILES_MAX = 2     # files that have a static of the same name

# Public headers whose functions are defined in several files, and which those are. What any other x.h declares
# is in x.c, as is what x_inner.h declares.
FACADES = {
    "protocol/base/text.h": ("protocol/base/text_*.c",),
    "protocol/command/command.h": ("protocol/command/command_*.c",),
    "protocol/filter/filter.h": ("protocol/filter/filter_*.c",),
    "protocol/resp/resp.h": ("protocol/resp/resp_*.c",),
    "protocol/rpc/rpc.h": ("protocol/rpc/rpc_*.c",),
    "storage/query.h": ("storage/query/*.c", "storage/query/base/*.c"),
    "storage/query/handlers.h": ("storage/query/*.c",),
    "storage/apply/handlers.h": ("storage/apply/*.c",),
    "broker/settings/settings.h": ("broker/settings/settings_*.c",),
    "clients/c/halfmq.h": ("clients/c/*.c",),
    "bench/report/report.h": ("bench/report/report_*.c",),
}

# What only one folder may include: the broker's roof hands down what those below need.
ROOF_HEADERS = {"broker/server.h": "broker"}

BANNED = ("strcpy strcat sprintf vsprintf gets strtok atoi atol system popen alloca").split()

# What a pure room must not touch: the answer would no longer follow from the input alone.
IMPURE_CALLS = ("time clock clock_gettime gettimeofday localtime localtime_r rand rand_r random "
                "srand srandom drand48 arc4random getrandom getentropy sleep usleep nanosleep printf "
                "fprintf vfprintf vprintf puts fputs perror syslog").split()
IMPURE_HEADERS = "pthread.h threads.h syslog.h sys/random.h sys/time.h event2/* sys/socket.h".split()
CALENDAR_FILES = ("protocol/base/text*.c",)  # timegm and gmtime_r are pure; <time.h> is theirs alone
