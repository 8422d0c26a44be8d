#!/bin/sh
# Builds the library and installs it for C, C++, pkg-config and CMake.
#
#   ./install.sh [--prefix DIR] [--destdir DIR] [--libdir DIR] [--includedir DIR]
#
#   --prefix      where it will be used from          (default /usr/local)
#   --destdir     put in front of every path, for packagers
#   --libdir      below the prefix, or absolute       (default lib)
#   --includedir  below the prefix, or absolute       (default include)
#
# Needs Rust 1.85 or newer. Where cargo-c is installed, `cargo cinstall --release` does the same, without the CMake files.
set -eu

prefix=/usr/local
destdir=
libdir=lib
includedir=include

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --prefix | --destdir | --libdir | --includedir)
        [ $# -ge 2 ] || fail "$1 needs a directory"
        name=${1#--}
        eval "$name=\$2"
        shift 2
        ;;
    --prefix=* | --destdir=* | --libdir=* | --includedir=*)
        name=${1%%=*}
        eval "${name#--}=\${1#*=}"
        shift
        ;;
    -h | --help)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "there is no option $1; see --help" ;;
    esac
done
case $prefix in /*) ;; *) fail "--prefix must be an absolute path" ;; esac
case $libdir in /*) ;; *) libdir=$prefix/$libdir ;; esac
case $includedir in /*) ;; *) includedir=$prefix/$includedir ;; esac

# The directory is entered only for the build: --destdir may be relative to where the user is.
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/Cargo.toml" | head -n 1)
[ -n "$version" ] || fail "Cargo.toml tells no version"
major=${version%%.*}
# Below 1.0 each minor version has an ABI of its own.
if [ "$major" = 0 ]; then
    minor=${version#0.}
    abi=0.${minor%%.*}
else
    abi=$major
fi

# Said here in one sentence, before anything is built. rustc is asked where cargo will start it: rustup may choose it by folder.
needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$here/Cargo.toml")
rust=$(cd "$here" && "${RUSTC:-rustc}" --version 2>/dev/null) || fail "Rust $needed or newer is needed, and there is no rustc"
rust=${rust#rustc }
rust=${rust%% *}
minor=${rust#1.}
[ "${minor%%.*}" -ge "${needed#1.}" ] || fail "Rust $needed or newer is needed, and this is $rust"

# In a target directory of its own: the name that is linked into this library is not for the one in target/release,
# with which programs are built in place.
target=${CARGO_TARGET_DIR:-$here/target}
case $target in /*) ;; *) target=$here/$target ;; esac
target=$target/install
case $(uname -s) in
Darwin)
    shared=libserver_socket.$abi.dylib
    link=libserver_socket.dylib
    built=libserver_socket.dylib
    name_it="-Wl,-install_name,$libdir/$shared"
    ;;
*)
    shared=libserver_socket.so.$version
    link=libserver_socket.so
    built=libserver_socket.so
    name_it="-Wl,-soname,libserver_socket.so.$abi"
    ;;
esac
(
    cd "$here"
    cargo rustc --lib --release --target-dir "$target" --crate-type cdylib -- -C link-arg="$name_it"
    cargo rustc --lib --release --target-dir "$target" --crate-type staticlib
)

lib=$destdir$libdir
mkdir -p "$lib/pkgconfig" "$lib/cmake/ServerSocket" "$destdir$includedir"
install -m 644 "$here/include/server_socket.h" "$here/include/server_socket.hpp" "$destdir$includedir/"
install -m 755 "$target/release/$built" "$lib/$shared"
install -m 644 "$target/release/libserver_socket.a" "$lib/libserver_socket.a"
ln -sf "$shared" "$lib/$link"
[ "$link" = libserver_socket.dylib ] || ln -sf "$shared" "$lib/libserver_socket.so.$abi"

# What a static link needs besides the library.
case $(uname -s) in
Darwin) private="-framework CoreFoundation -liconv" ;;
*) private="-pthread -ldl -lm" ;;
esac
fill_in() {
    sed -e "s|@PREFIX@|$prefix|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@INCLUDEDIR@|$includedir|g" \
        -e "s|@VERSION@|$version|g" -e "s|@PRIVATE@|$private|g" -e "s|@SHARED@|$link|g" "$here/install/$1.in" >"$lib/$2/$1"
}
fill_in server_socket.pc pkgconfig
fill_in ServerSocketConfig.cmake cmake/ServerSocket
fill_in ServerSocketConfigVersion.cmake cmake/ServerSocket

echo "installed server_socket $version: $lib/$shared"
