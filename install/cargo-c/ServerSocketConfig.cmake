# As install.sh's, where cargo-c has installed the library: find_package(ServerSocket) defines ServerSocket::ServerSocket, the shared
# library, and ServerSocket::Static. cargo-c copies this file as it is, so that it looks for the libraries below its prefix.

if(NOT WIN32)
  include(CMakeFindDependencyMacro)
  find_dependency(Threads)
endif()

get_filename_component(_server_socket_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

# _server_socket_find(VARIABLE FILE...): the first of the files that is there, or nothing.
macro(_server_socket_find variable)
  set(${variable} "")
  foreach(_server_socket_folder "lib/${CMAKE_LIBRARY_ARCHITECTURE}" lib lib64 bin)
    foreach(_server_socket_name ${ARGN})
      if(NOT ${variable} AND EXISTS "${_server_socket_prefix}/${_server_socket_folder}/${_server_socket_name}")
        set(${variable} "${_server_socket_prefix}/${_server_socket_folder}/${_server_socket_name}")
      endif()
    endforeach()
  endforeach()
endmacro()

_server_socket_find(_server_socket_shared libserver_socket.so libserver_socket.dylib server_socket.dll)
_server_socket_find(_server_socket_import libserver_socket.dll.a server_socket.dll.lib)
_server_socket_find(_server_socket_static libserver_socket.a server_socket.lib)

if(_server_socket_shared AND NOT TARGET ServerSocket::ServerSocket)
  add_library(ServerSocket::ServerSocket SHARED IMPORTED)
  set_target_properties(ServerSocket::ServerSocket PROPERTIES
    IMPORTED_LOCATION "${_server_socket_shared}"
    INTERFACE_INCLUDE_DIRECTORIES "${_server_socket_prefix}/include")
  if(WIN32)
    set_target_properties(ServerSocket::ServerSocket PROPERTIES IMPORTED_IMPLIB "${_server_socket_import}")
  endif()
endif()

if(_server_socket_static AND NOT TARGET ServerSocket::Static)
  if(WIN32)
    set(_server_socket_needed ws2_32 userenv ntdll bcrypt dbghelp)
  elseif(APPLE)
    set(_server_socket_needed "-framework CoreFoundation" iconv)
  else()
    set(_server_socket_needed Threads::Threads ${CMAKE_DL_LIBS} m)
  endif()
  add_library(ServerSocket::Static STATIC IMPORTED)
  set_target_properties(ServerSocket::Static PROPERTIES
    IMPORTED_LOCATION "${_server_socket_static}"
    INTERFACE_INCLUDE_DIRECTORIES "${_server_socket_prefix}/include"
    INTERFACE_COMPILE_DEFINITIONS SS_STATIC
    INTERFACE_LINK_LIBRARIES "${_server_socket_needed}")
endif()

if(NOT _server_socket_shared AND NOT _server_socket_static)
  set(ServerSocket_FOUND FALSE)
  set(ServerSocket_NOT_FOUND_MESSAGE "no library lies in lib, lib64 or lib/<architecture> of ${_server_socket_prefix}")
endif()
