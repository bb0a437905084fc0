# The foreign libraries, each as an imported target PkgConfig::NAME.
# cmake/deps.sh installs them on Debian; `make build` runs it first.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# hmq_need(<name> <pkg-config module>...): REQUIRED, with a sentence that says what to do.
function(hmq_need name)
    pkg_check_modules(${name} QUIET IMPORTED_TARGET GLOBAL ${ARGN})
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "The library ${ARGN} is missing. Run `sh cmake/deps.sh`, which installs "
                            "what HalfMQ needs on Debian, or install its development package yourself.")
    endif()
endfunction()

hmq_need(MSGPACK msgpack)
hmq_need(XXHASH libxxhash)
hmq_need(ROCKSDB rocksdb)
hmq_need(EVENT libevent_core libevent_extra libevent_pthreads)
hmq_need(CJSON libcjson)
hmq_need(CRYPTO libcrypto)
hmq_need(HIREDIS hiredis)
hmq_need(EDIT libedit)
hmq_need(SMARTCOLS smartcols)
if(HALFMQ_TESTS)
    hmq_need(CMOCKA cmocka)
endif()
if(HALFMQ_EXAMPLES)
    hmq_need(SQLITE sqlite3)
    hmq_need(POSTGRES libpq)
endif()
