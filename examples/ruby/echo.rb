#!/usr/bin/env ruby
# An echo server in Ruby: nothing but the shared library and the declarations that lie beside its header.
#
#     ruby echo.rb [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000
#
# The library is looked for where SERVER_SOCKET_LIB says, else where the system keeps its libraries; the declarations where
# SERVER_SOCKET_CDEF says, else in this repository.
require 'fiddle/import'

module SS
  extend Fiddle::Importer
  dlload ENV['SERVER_SOCKET_LIB'] || 'libserver_socket.so'
  CDEF = File.read(ENV['SERVER_SOCKET_CDEF'] || File.join(__dir__, '../../include/server_socket.cdef.h'))
  { 'int32_t' => 'int', 'uint32_t' => 'unsigned int', 'bool' => 'char', 'ss_status' => 'int', 'ss_listener' => 'void *' }
    .each { |type, known| typealias type, known }
  %w[new bind listen local_port retain release loop_poll last_error_detail add_listener event_target event_socket
     socket_peek socket_skip socket_write_bytes socket_abort].each { |name| extern CDEF[/^\w.*\bss_#{name}\(.*\);$/] }

  def self.check(status) = status.zero? || raise(ss_last_error_detail.to_s)

  # One closure for each type of event, kept for as long as the library may call it. What is raised inside, Ctrl-C included,
  # waits until the library has returned.
  def self.listener
    Fiddle::Closure::BlockCaller.new(Fiddle::TYPE_VOID, [Fiddle::TYPE_VOIDP] * 2) do |event, _|
      yield event
    rescue Exception => e
      @raised ||= e
    end
  end

  def self.poll
    check ss_loop_poll(nil, -1, nil) # comes back for a signal, so that Ctrl-C works
    raise @raised if @raised
  end
end

ON_DATA = SS.listener do |event|
  socket, length = SS.ss_event_target(event), Fiddle::Pointer.malloc(Fiddle::SIZEOF_SIZE_T, Fiddle::RUBY_FREE)
  bytes = SS.ss_socket_peek(socket, length) # in place: bytes[0, count] would copy it
  count = length[0, Fiddle::SIZEOF_SIZE_T].unpack1('J')
  next SS.ss_socket_skip(socket, count) if SS.ss_socket_write_bytes(socket, bytes, count).zero?
  SS.ss_socket_abort(socket) # the peer sends, but does not read
  SS.ss_release(socket)
end
ON_CLOSE = SS.listener { |event| SS.ss_release(SS.ss_event_target(event)) }
ON_CONNECT = SS.listener do |event|
  socket = SS.ss_event_socket(event)
  SS.check SS.ss_retain(socket) # else it is closed when this returns
  SS.check SS.ss_add_listener(socket, 'socketData', ON_DATA, nil, 0, 0)
  SS.check SS.ss_add_listener(socket, 'close', ON_CLOSE, nil, 0, 0)
end
server = SS.ss_new(nil)
SS.check SS.ss_add_listener(server, 'connect', ON_CONNECT, nil, 0, 0)
SS.check SS.ss_bind(server, (ARGV[0] || 7000).to_i, '127.0.0.1')
SS.check SS.ss_listen(server, 0)
$stdout.sync = true
puts "listening on 127.0.0.1:#{SS.ss_local_port(server)}"
loop { SS.poll }
