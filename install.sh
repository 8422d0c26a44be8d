#!/bin/sh
# Builds the library and installs it for C, C++, pkg-config and CMake.
#
#   ./install.sh [OPTION...]
#
#   --prefix DIR       where it will be used from          (default /usr/local)
#   --libdir DIR       below the prefix, or absolute       (default lib)
#   --includedir DIR   below the prefix, or absolute       (default include)
#   --destdir DIR      put in front of every path, for packagers   (default $DESTDIR)
#   --target TRIPLE    for another system, by Rust's name for it    (default $CARGO_BUILD_TARGET); for Windows, the DLL
#                      is installed in bin, below the prefix, and its import library in libdir; for musl the static library
#                      alone, unless RUSTFLAGS has -C target-feature=-crt-static
#   --features LIST    of the crate
#   --no-build         install what was built before, without Rust
#   --uninstall        remove what was installed with the same directories
#
# Needs Rust 1.85 or newer and a C compiler. On Linux, with GNU binutils, only the library's functions are global in the static
# library that is installed, so that it links beside others of Rust (install/archive); elsewhere it is as cargo makes it. Where cargo-c
# is installed, `cargo cinstall --release` does the same, with the static library as cargo makes it.
# SPDX-License-Identifier: MIT OR Apache-2.0
set -eu
umask 022

prefix=/usr/local
destdir=${DESTDIR-}
libdir=lib
includedir=include
target=${CARGO_BUILD_TARGET-}
features=
build=yes
uninstall=

# Not echo: some shells' takes backslashes for more than they are.
say() { printf '%s\n' "$1"; }

fail() {
    say "install.sh: $1" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --prefix | --destdir | --libdir | --includedir | --target | --features)
        [ $# -ge 2 ] || fail "$1 needs a value"
        name=${1#--}
        eval "$name=\$2"
        shift
        ;;
    --prefix=* | --destdir=* | --libdir=* | --includedir=* | --target=* | --features=*)
        name=${1%%=*}
        eval "${name#--}=\${1#*=}"
        ;;
    --no-build) build= ;;
    --uninstall) uninstall=yes ;;
    -h | --help)
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "there is no option $1; see --help" ;;
    esac
    shift
done
case $prefix in /*) ;; *) fail "--prefix must be an absolute path" ;; esac
case $libdir in /*) ;; *) libdir=$prefix/$libdir ;; esac
case $includedir in /*) ;; *) includedir=$prefix/$includedir ;; esac
case $destdir in "" | /*) ;; *) destdir=$(pwd)/$destdir ;; esac
case $destdir$libdir$includedir in *'
'*) fail "a directory's name may have no line break" ;; esac

here=$(cd "$(dirname "$0")" && pwd)
of_crate() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$here/Cargo.toml" | head -n 1; }
version=$(of_crate version)
installed=$destdir$libdir/pkgconfig/server_socket.pc
if [ "$uninstall" ]; then
    [ -f "$installed" ] || fail "nothing is installed in $destdir$libdir"
    version=$(sed -n 's/^Version: //p' "$installed")
    target=$(sed -n 's/^target=//p' "$installed")
fi
# Below 1.0 each minor version has an ABI of its own.
abi=${version%%.*}
if [ "$abi" = 0 ]; then
    abi=${version#0.}
    abi=0.${abi%%.*}
fi

# Names: the shared library, and where it lies; what cargo calls it; what else is linked with. And what a static link needs, for
# pkg-config and for CMake.
links=
library=server_socket
static=libserver_socket.a
import=
named=
case ${target:-$(uname -s)} in
Darwin | *-apple-*)
    shared=$libdir/libserver_socket.$abi.dylib
    built_as=libserver_socket.dylib
    links=$built_as
    named="-Wl,-install_name,$shared"
    private="-framework CoreFoundation -liconv"
    needed_by_cmake="-framework CoreFoundation;iconv"
    ;;
*-windows-*)
    # Programs look for it beside themselves and in PATH, by one name.
    shared=$prefix/bin/server_socket.dll
    built_as=server_socket.dll
    import=libserver_socket.dll.a
    case $target in *-msvc) library=server_socket.dll static=server_socket.lib import=server_socket.dll.lib ;; esac
    private="-lws2_32 -luserenv -lntdll -lbcrypt -ldbghelp"
    needed_by_cmake="ws2_32;userenv;ntdll;bcrypt;dbghelp"
    ;;
MINGW* | MSYS* | CYGWIN*) fail "on Windows, --target must say for which compiler: x86_64-pc-windows-gnu, or x86_64-pc-windows-msvc" ;;
*)
    shared=$libdir/libserver_socket.so.$version
    built_as=libserver_socket.so
    links="$built_as libserver_socket.so.$abi"
    named="-Wl,-soname,libserver_socket.so.$abi"
    private="-pthread -ldl -lm"
    needed_by_cmake='Threads::Threads;${CMAKE_DL_LIBS};m'
    ;;
esac
# For musl Rust makes shared libraries only where it is told that the C library is one.
always=
case $target in *-unknown-linux-musl*)
    case ${RUSTFLAGS-} in *-crt-static*) ;; *)
        shared= links= named=
        always=" $private"
        ;;
    esac
    ;;
esac

# Every file that is installed, a line each.
files() {
    for file in server_socket.h server_socket.hpp server_socket.cdef.h; do say "$includedir/$file"; done
    [ -z "$shared" ] || say "$shared"
    for file in $links $import $static pkgconfig/server_socket.pc cmake/ServerSocket/ServerSocketConfig.cmake \
        cmake/ServerSocket/ServerSocketConfigVersion.cmake; do say "$libdir/$file"; done
}

each_file() {
    files | while IFS= read -r file; do "$@" "$file" || exit 1; done || exit 1
}

remove_empty_folders() {
    for folder in cmake/ServerSocket cmake pkgconfig; do rmdir "$destdir$libdir/$folder" 2>/dev/null || true; done
}

# ---- Before anything is built ---------------------------------------------------------------------------------------

# That a file can be put there, or taken away, is tried in the nearest folder that exists.
check_place() {
    place=$destdir$1
    [ ! -d "$place" ] || fail "$place is a directory, and a file is to be there"
    folder=$(dirname "$place")
    until [ -e "$folder" ]; do folder=$(dirname "$folder"); done
    [ -d "$folder" ] || fail "$folder is not a directory"
    probe=$(mktemp "$folder/.server_socket.XXXXXX" 2>/dev/null) ||
        fail "$folder cannot be written to: become root (sudo), or choose another place with --prefix"
    rm -f "$probe"
}

# rustc and cargo are asked where cargo will start: rustup may choose them by folder.
ask_rustc() { (cd "$here" && "${RUSTC:-rustc}" "$@" 2>/dev/null); }

check_rust() {
    needed=$(of_crate rust-version)
    rust=$(ask_rustc --version) || fail "Rust $needed or newer is needed, and there is no rustc"
    rust=${rust#rustc }
    rust=${rust%% *}
    minor=${rust#1.}
    [ "${minor%%.*}" -ge "${needed#1.}" ] || fail "Rust $needed or newer is needed, and this is $rust"
    (cd "$here" && cargo --version >/dev/null 2>&1) || fail "cargo, Rust's build tool, is needed"
    if [ "$target" ]; then
        found=$(ask_rustc --print target-libdir --target "$target") || fail "rustc knows no target $target"
        # Or it is compiled along, by cargo's build-std.
        [ "${CARGO_UNSTABLE_BUILD_STD-}" ] || ls "$found"/libstd-* >/dev/null 2>&1 || fail "Rust's library for $target is missing: rustup target add $target"
    elif ! command -v cc >/dev/null && ! env | grep -q '^\(RUSTFLAGS\|CARGO_TARGET_.*_LINKER\)='; then
        fail "a C compiler (cc) is needed: it links the library"
    fi
}

# The tools of install/archive, for Linux only. Those for another machine have its name in front.
check_binutils() {
    case ${target:-$(uname -s)} in Linux | *-linux-*) ;; *) return ;; esac
    tools=
    if [ "$target" ] && [ "$target" != "$(ask_rustc -vV | sed -n 's/^host: //p')" ]; then
        tools=$(echo "$target" | sed 's/-unknown-/-/')-
    fi
    LD=${LD:-${tools}ld} NM=${NM:-${tools}nm} OBJCOPY=${OBJCOPY:-${tools}objcopy} AR=${AR:-${tools}ar}
    for tool in "$LD" "$NM" "$OBJCOPY" "$AR"; do
        "$tool" --version 2>/dev/null | grep -q '^GNU' ||
            fail "GNU binutils are needed, and $tool is missing or another's; LD, NM, OBJCOPY and AR can name others"
    done
}

each_file check_place

# Has the loader take note of what is in $libdir. $1: what it does then; $2: what is to be said if it does not look there.
tell_loader() {
    PATH=$PATH:/sbin:/usr/sbin
    [ "$(uname -s)" = Linux ] && [ -z "$destdir$target" ] && command -v ldconfig >/dev/null || return 0
    if ! ldconfig -v -N -X 2>/dev/null | sed 's/:.*//' | grep -qxF "$libdir"; then
        [ -z "${2-}" ] || say "$2"
    elif ! ldconfig 2>/dev/null; then
        say "Run ldconfig as root, so that the loader $1."
    fi
}

if [ "$uninstall" ]; then
    remove() { rm -f "$destdir$1"; }
    each_file remove
    remove_empty_folders
    say "removed server_socket $version from $destdir$libdir and $destdir$includedir"
    tell_loader "forgets it"
    exit
fi

# A folder of its own: the name that is linked into this library is not for the one in target/release, with which
# programs are built in place.
out=${CARGO_TARGET_DIR:-$here/target}
case $out in /*) ;; *) out=$(pwd)/$out ;; esac
out=$out/install
stage=$out/stage${target:+-$target}
# What the library that was built is called, and for whom.
called="$version $named"

# ---- Building, and the tree, aside ----------------------------------------------------------------------------------

build_library() {
    (
        cd "$here"
        set -- --locked --lib --release --target-dir "$out" ${target:+--target "$target"} ${features:+--features "$features"}
        # Both at once: optimising the whole is most of the work.
        cargo rustc "$@" --crate-type ${shared:+cdylib,}staticlib -- ${named:+-C link-arg="$named"}
    )
    built=$out/$target/release
    rm -rf "$stage"
    mkdir -p "$stage"
    [ -z "$shared" ] || cp "$built/$built_as" "$stage/shared"
    [ -z "$import" ] || cp "$built/$import" "$stage/import"
    case ${target:-$(uname -s)} in
    Linux | *-linux-*) LD=$LD NM=$NM OBJCOPY=$OBJCOPY AR=$AR "$here/install/archive" "$built/$static" "$stage/static" ;;
    *) cp "$built/$static" "$stage/static" ;;
    esac
    say "$called" >"$stage/called"
}

# For a replacement of sed's, between bars.
for_sed() { printf '%s' "$1" | sed 's/[\\&|]/\\&/g'; }
# For a value in a .pc file: as a shell would want it.
for_pc() { printf '%s' "$1" | sed 's/[^A-Za-z0-9_@%+=:,./-]/\\&/g'; }

# fill_in FILE QUOTE FOLDER: install/FILE.in for a folder below libdir, with directories as QUOTE writes them.
fill_in() {
    sed -e "s|@PREFIX@|$(for_sed "$("$2" "$prefix")")|g" -e "s|@LIBDIR@|$(for_sed "$("$2" "$libdir")")|g" \
        -e "s|@INCLUDEDIR@|$(for_sed "$("$2" "$includedir")")|g" -e "s|@VERSION@|$version|g" -e "s|@PRIVATE@|$private|g" -e "s|@ALWAYS@|$always|g" \
        -e "s|@TARGET@|$(for_sed "$("$2" "$target")")|g" -e "s|@SHARED@|$(for_sed "$("$2" "$shared")")|g" \
        -e "s|@LIBRARY@|$library|g" -e "s|@STATIC@|$static|g" -e "s|@IMPORT@|$import|g" -e "s|@NEEDED@|$needed_by_cmake|g" \
        "$here/install/$1.in" >"$tree$libdir/$3$1"
    chmod 644 "$tree$libdir/$3$1"
}
as_it_is() { printf '%s' "$1"; }

make_tree() {
    mkdir -p "$tree$includedir" "$tree$libdir/pkgconfig" "$tree$libdir/cmake/ServerSocket"
    for header in server_socket.h server_socket.hpp server_socket.cdef.h; do
        install -m 644 "$here/include/$header" "$tree$includedir/"
    done
    if [ "$shared" ]; then
        mkdir -p "$(dirname "$tree$shared")"
        install -m 755 "$stage/shared" "$tree$shared"
    fi
    install -m 644 "$stage/static" "$tree$libdir/$static"
    [ -z "$import" ] || install -m 644 "$stage/import" "$tree$libdir/$import"
    for name in $links; do ln -s "${shared##*/}" "$tree$libdir/$name"; done
    fill_in server_socket.pc for_pc pkgconfig/
    fill_in ServerSocketConfig.cmake as_it_is cmake/ServerSocket/
    fill_in ServerSocketConfigVersion.cmake as_it_is cmake/ServerSocket/
}

if [ "$build" ]; then
    check_rust
    check_binutils
    build_library
fi
[ -f "$stage/called" ] || fail "nothing has been built in $out: run it without --no-build"
[ "$called" = "$(cat "$stage/called")" ] || fail "what was built is another ($(cat "$stage/called")): run it without --no-build"
tree=$stage/tree$$
trap 'rm -rf "$tree"' EXIT
make_tree

# ---- All or nothing: every file is brought beside its place first, and then takes it --------------------------------

new=.new$$
bring() { mkdir -p "$(dirname "$destdir$1")" && cp -pP "$tree$1" "$destdir$1$new"; }
take_back() { rm -f "$destdir$1$new"; }
put() { mv -f "$destdir$1$new" "$destdir$1"; }
trap 'each_file take_back; remove_empty_folders; rm -rf "$tree"' EXIT
trap 'exit 1' INT TERM HUP
each_file bring
trap '' INT TERM HUP
each_file put

say "installed server_socket $version: $destdir${shared:-$libdir/$static}"

tell_loader "finds it" "The loader does not look there: link programs with -Wl,-rpath,$libdir, or set LD_LIBRARY_PATH."
