# The version is the installed header's, since cargo-c copies this file as it is.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../../../include/server_socket.h" _server_socket_lines REGEX "^#define SS_VERSION_M|^#define SS_VERSION_P")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" PACKAGE_VERSION "${_server_socket_lines}")
unset(_server_socket_lines)

# Below 1.0 each minor version has an ABI of its own; from 1.0 on each major one.
string(REGEX MATCH "^(0\\.[0-9]+|[0-9]+)" _server_socket_abi "${PACKAGE_VERSION}")
string(REGEX MATCH "^(0\\.[0-9]+|[0-9]+)" _server_socket_wanted "${PACKAGE_FIND_VERSION}")

if(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION OR
   (PACKAGE_FIND_VERSION AND NOT _server_socket_abi STREQUAL _server_socket_wanted))
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()

unset(_server_socket_abi)
unset(_server_socket_wanted)
