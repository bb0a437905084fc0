# The foreign libraries, each as an imported target PkgConfig::NAME; only those of what is built
# (the options HALFMQ_DEMO to HALFMQ_TESTS). cmake/deps.sh installs the same sets on Debian.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# hmq_need(<set of deps.sh> <name> <pkg-config module>...): REQUIRED, with a sentence that says what to do.
function(hmq_need set name)
    pkg_check_modules(${name} QUIET IMPORTED_TARGET GLOBAL ${ARGN})
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "The library ${ARGN} is missing. Run `sh cmake/deps.sh ${set}`, which installs "
                            "what this build needs on Debian, or install its development package yourself.")
    endif()
endfunction()

hmq_need(demo MSGPACK msgpack)
hmq_need(demo XXHASH libxxhash)
hmq_need(demo ROCKSDB rocksdb)
hmq_need(demo EVENT libevent_core libevent_extra libevent_pthreads)
hmq_need(demo CJSON libcjson)
hmq_need(demo ISAL libisal)
hmq_need(demo CRYPTO libcrypto)
hmq_need(demo JWT libjwt)
if(HALFMQ_DEMO OR HALFMQ_EXAMPLES)
    hmq_need(demo SQLITE sqlite3)
endif()
if(HALFMQ_CLI OR HALFMQ_BENCH)
    hmq_need(build HIREDIS hiredis)
endif()
if(HALFMQ_CLI)
    hmq_need(build EDIT libedit)
    hmq_need(build SMARTCOLS smartcols)
endif()
if(HALFMQ_EXAMPLES)
    hmq_need(build POSTGRES libpq)
endif()
if(HALFMQ_TESTS)
    hmq_need(test CMOCKA cmocka)
    pkg_check_modules(UV QUIET IMPORTED_TARGET GLOBAL libuv) # for the test of its adapter; left out where it is not there
endif()
