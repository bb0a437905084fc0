# What every target of the project shares: flags, include folders, sanitizers.

# hmq_options carries the flags; every target links it privately.
add_library(hmq_options INTERFACE)
target_compile_definitions(hmq_options INTERFACE _GNU_SOURCE)
target_compile_options(hmq_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes
    -fno-omit-frame-pointer
    $<$<BOOL:${HALFMQ_WERROR}>:-Werror>)
target_include_directories(hmq_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)

if(HALFMQ_SANITIZE)
    # A finding of the undefined-behaviour sanitizer must fail the test that provoked it.
    set(sanitizers -fsanitize=${HALFMQ_SANITIZE} -fno-sanitize-recover=all)
    target_compile_options(hmq_options INTERFACE ${sanitizers})
    target_link_options(hmq_options INTERFACE ${sanitizers})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(hmq_options INTERFACE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

if(HALFMQ_COVERAGE) # atomic: threads count the same lines
    target_compile_options(hmq_options INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(hmq_options INTERFACE --coverage)
endif()

if(HALFMQ_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "HALFMQ_FUZZ needs clang: configure with `cmake --preset fuzz`.")
    endif()
    target_compile_options(hmq_options INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(hmq_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(HALFMQ_LTO)
    include(CheckIPOSupported)
    check_ipo_supported()
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# hmq_sources(<variable> <pattern>...): the files of this folder, looked up again at each build.
function(hmq_sources variable)
    set(patterns ${ARGN})
    list(TRANSFORM patterns PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    file(GLOB found CONFIGURE_DEPENDS ${patterns})
    list(SORT found)
    set(${variable} ${found} PARENT_SCOPE)
endfunction()

# hmq_sources_below(<variable> <pattern>...): the same in this folder and all below it.
function(hmq_sources_below variable)
    set(patterns ${ARGN})
    list(TRANSFORM patterns PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    file(GLOB_RECURSE found CONFIGURE_DEPENDS ${patterns})
    list(SORT found)
    set(${variable} ${found} PARENT_SCOPE)
endfunction()

# hmq_link(<target> <library>...): links those of our own libraries that exist, and all others.
function(hmq_link target)
    foreach(library ${ARGN})
        if(NOT library MATCHES "^hmq_" OR TARGET ${library})
            target_link_libraries(${target} PRIVATE ${library})
        endif()
    endforeach()
endfunction()
