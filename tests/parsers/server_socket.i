%module ss
%{
#include <server_socket.h>
%}
%include <stdint.i>
%include <server_socket.h>
