# Sourced by ci/platforms and ci/release, with $out: building for the other systems, and running there.
#
# Debian's own Rust (rustc-web) brings the sources of std, so that every target can be had without a download by rustup.
# SPDX-License-Identifier: MIT OR Apache-2.0

export CARGO_TERM_COLOR=never
export WINEPREFIX=$out/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml="
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc-posix
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=musl-gcc
# For ring, which is C and assembler in part.
export CC_x86_64_pc_windows_gnu=x86_64-w64-mingw32-gcc-posix CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export CC_i686_unknown_linux_gnu=i686-linux-gnu-gcc CC_x86_64_unknown_linux_musl=musl-gcc

# Debian's cargo and rustc, and none that rustup would choose. std is compiled for the target, by unstable flags.
cross() {
    local command=$1
    shift
    env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS PATH=/usr/bin:/bin RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_DIR="$out/cross" /usr/bin/cargo "$command" --locked -Zbuild-std=std,panic_unwind "$@"
}

# echo_example DIR FLAGS...: compiles the echo server with $CC and the header in $INCLUDE, starts it by way of $RUN, and has it echo a line.
echo_example() {
    local dir=$1 program=$1/echo_server${EXE-} line port server answer
    shift
    mkdir -p "$dir"
    $CC -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -I"${INCLUDE-include}" c-examples/echo_server.c -o "$program" "$@"
    exec 9< <(exec ${RUN-} "$program" 0 2>&1)
    server=$!
    read -r -t 60 line <&9
    port=$(tr -d '\r' <<<"${line##*:}")
    echo "$(basename "$program"): $line"
    exec 8<>"/dev/tcp/127.0.0.1/$port"
    echo "hello from another system" >&8
    read -r -t 60 answer <&8
    exec 8>&-
    kill "$server"
    exec 9<&-
    [ "$answer" = "hello from another system" ] || return 1
    echo "it echoes"
}

# https_example DIR FLAGS...: the same for the web server over TLS; curl asks it.
https_example() {
    local dir=$1 program=$1/https_hello${EXE-} line port server answer
    shift
    need curl openssl
    mkdir -p "$dir"
    make -s -C c-examples BUILD="$(realpath "$dir")" certificate
    $CC -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -I"${INCLUDE-include}" c-examples/https_hello.c -o "$program" "$@"
    exec 9< <(exec ${RUN-} "$program" "$dir/certificate.pem" "$dir/key.pem" 0 2>&1)
    server=$!
    read -r -t 60 line <&9
    port=$(tr -d '\r/' <<<"${line##*:}")
    echo "$(basename "$program"): $line"
    answer=$(curl -sS --max-time 60 --cacert "$dir/certificate.pem" "https://localhost:$port/")
    kill "$server"
    exec 9<&-
    echo "$answer"
    [[ $answer == "Hello over TLS 1.3"* ]]
}

# What programs need to run on Windows, which here is Wine.
windows_setup() {
    need wine wine64 gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix
    export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER="timeout 900 wine"
    [ -d "$WINEPREFIX" ] || wineboot -i >"$out/wineboot.log" 2>&1
    # Rust takes random numbers from a function that this Wine lacks.
    if [ ! -f "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" ]; then
        echo '#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, (ULONG)size); }' \
            >"$out/bcryptprimitives.c"
        x86_64-w64-mingw32-gcc-posix -shared -O2 "$out/bcryptprimitives.c" -ladvapi32 \
            -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll"
    fi
}

# What a static program for musl is linked with on Debian. Its libgcc unwinds by a function of glibc's, so that LLVM's unwinder takes
# its place; that was compiled for glibc as well, and wants one function that musl lacks.
musl_flags() {
    local dir=$out/musl
    mkdir -p "$dir/kernel"
    ln -sfn /usr/include/linux "$dir/kernel/linux"
    ln -sfn /usr/include/asm-generic "$dir/kernel/asm-generic"
    ln -sfn /usr/include/x86_64-linux-gnu/asm "$dir/kernel/asm"
    echo '#include <stdarg.h>
#include <stdio.h>
int __fprintf_chk(FILE *file, int flag, const char *format, ...)
{
    va_list arguments;
    int length;
    (void)flag;
    va_start(arguments, format);
    length = vfprintf(file, format, arguments);
    va_end(arguments);
    return length;
}' >"$dir/fprintf_chk.c"
    musl_flags=(-isystem "$dir/kernel" "$dir/fprintf_chk.c" /usr/lib/llvm-14/lib/libunwind.a -static)
}
