#!/bin/sh
# install.sh: installs into a temporary folder and then does what an application would do: compile against the
# shared and the static library with pkg-config, and find the CMake package. It also checks that the libraries
# export names with hmq_ and no others.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/usr

fail() {
    echo "install: $*" >&2
    exit 1
}

cmake --install "$BUILD" --prefix "$prefix" >"$folder/log"
libdir=$(dirname "$(find "$prefix" -name libhalfmq.so)")
for file in bin/halfmqd bin/halfmq include/halfmq.h; do
    [ -e "$prefix/$file" ] || fail "$file was not installed"
done

cat >"$folder/app.c" <<'END'
#include <halfmq.h>
#include <stdio.h>
#include <string.h>

/* The library has a function of this name as well, which it does not export, so the application may have one. */
int buf_init(void);
int buf_init(void)
{
    return 7;
}

int main(void)
{
    hmq_options *options = hmq_options_new();
    hmq_options_free(options);
    return puts(hmq_version()) < 0 || buf_init() != 7 || !options;
}
END

export PKG_CONFIG_PATH="$libdir/pkgconfig"
version=$(pkg-config --modversion halfmq)
cc -std=c11 -Wall -Wextra -Werror "$folder/app.c" -o "$folder/shared" $(pkg-config --cflags --libs halfmq)
[ "$(LD_LIBRARY_PATH=$libdir "$folder/shared")" = "$version" ] || fail "the shared library is another version"

cc "$folder/app.c" -o "$folder/static" $(pkg-config --cflags halfmq) "$libdir/libhalfmq.a" \
    $(pkg-config --libs --static halfmq | sed 's/-lhalfmq//')
[ "$("$folder/static")" = "$version" ] || fail "the archive is another version"

# A C++ application includes the header as well.
if command -v c++ >/dev/null; then
    c++ -Wall -Wextra -Werror -fsyntax-only -x c++ $(pkg-config --cflags halfmq) "$folder/app.c" ||
        fail "halfmq.h is no C++ header"
    echo '#include <halfmq_epoll.h>' >"$folder/epoll.c"
    c++ -Wall -Wextra -Werror -fsyntax-only -x c++ $(pkg-config --cflags halfmq) "$folder/epoll.c" ||
        fail "halfmq_epoll.h is no C++ header"
fi

others=$(nm -D --defined-only "$libdir/libhalfmq.so" | awk '$2 ~ /[TDBRVW]/ { print $3 }' |
    grep -v '^hmq_\|^HALFMQ_' || true)
[ -z "$others" ] || fail "the shared library also lets out: $others"
others=$(nm -g --defined-only "$libdir/libhalfmq.a" | awk 'NF == 3 { print $3 }' | grep -v '^hmq_' || true)
[ -z "$others" ] || fail "the archive also lets out: $others"

mkdir "$folder/project"
cat >"$folder/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.21)
project(app LANGUAGES C)
find_package(HalfMQ REQUIRED)
add_executable(app ../app.c)
target_link_libraries(app PRIVATE HalfMQ::halfmq)
add_executable(app_static ../app.c)
target_link_libraries(app_static PRIVATE HalfMQ::halfmq_static)
END
cmake -S "$folder/project" -B "$folder/project/build" -DCMAKE_PREFIX_PATH="$prefix" >"$folder/log"
cmake --build "$folder/project/build" >"$folder/log" || { cat "$folder/log"; fail "the CMake package does not build"; }
[ "$("$folder/project/build/app")" = "$version" ] || fail "the CMake package finds another version"
[ "$("$folder/project/build/app_static")" = "$version" ] || fail "the static CMake target is another version"
if ldd "$folder/project/build/app_static" | grep -q halfmq; then fail "the static CMake target is not static"; fi

for program in halfmqd halfmq; do
    "$prefix/bin/$program" --version | grep -q "$version" || fail "$program --version does not say $version"
    "$prefix/bin/$program" --help >"$folder/help" || fail "$program --help fails"
    [ "$(awk 'length > 100' "$folder/help" | wc -l)" = 0 ] || fail "$program --help is wider than 100 columns"
done
echo "1 passed, 0 failed"
