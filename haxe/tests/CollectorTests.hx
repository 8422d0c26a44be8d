// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;
import sys.thread.Deque;
import sys.thread.Thread;

/** What the collector does to sockets, and they to it. **/
@:keep
class CollectorTests {
	public function new() {}

	#if server_socket_collect
	/** Most of them: the collector may take a word on the stack for a reference. **/
	function testSocketsThatNobodyHoldsAreClosed() {
		var count = 0;
		var server = Pair.listen(_ -> count++);
		var clients = [for (_ in 0...20) Pair.connect(server.localPort)];
		Check.until(() -> count == 20, "20 connect events");
		Check.until(() -> {
			overwriteStack(50);
			Check.collect();
			Check.settle();
			return sys.net.Socket.select(clients, [], [], 0).read.length >= 15; // they see the end
		}, "most of 20 sockets are closed");
		for (client in clients)
			client.close();
		server.close();
	}

	#else
	/** As in OpenFL: what is open lives on, and is forgotten when it is closed. **/
	function testWhatIsOpenIsHeld() {
		Check.collect();
		Check.settle(); // what earlier tests have left
		var before = heldCount();
		var count = 0;
		var ended = 0;
		var port = open(() -> count++, () -> ended++);
		var clients = [for (_ in 0...20) Pair.connect(port)];
		Check.until(() -> count == 20, "20 connect events");
		for (_ in 0...3) {
			overwriteStack(50);
			Check.collect();
			Check.settle();
		}
		for (client in clients)
			client.output.writeString("hello");
		Check.until(() -> sys.net.Socket.select(clients, [], [], 0).read.length == 20, "20 answers");
		Check.equal(before + 21, heldCount());
		for (client in clients)
			client.close();
		Check.until(() -> ended == 20, "20 close events");
		server.close();
		server = null;
		Check.equal(before, heldCount());
	}

	static var server:ServerSocket;

	/** Nobody holds the accepted sockets. **/
	static function open(onConnect:() -> Void, onClose:() -> Void):Int {
		server = Pair.listen(e -> {
			onConnect();
			e.socket.addEventListener(ProgressEvent.SOCKET_DATA, p -> (p.target : Socket).writeUTFBytes((p.target : Socket).readUTFBytes(5)));
			e.socket.addEventListener(Event.CLOSE, _ -> onClose());
		});
		return server.localPort;
	}

	static function heldCount():Int {
		return Lambda.count(@:privateAccess serversocket.internal.Home.current().open);
	}

	static function isHeld(socket:Socket):Bool {
		return Lambda.exists(@:privateAccess serversocket.internal.Home.current().open, held -> held == socket);
	}

	/** A socket that failed to connect is held no longer, whether somebody listens for it or not. **/
	function testWhatHasFailedIsNotHeld() {
		var free = Pair.listen();
		var port = free.localPort;
		free.close();
		var socket = new Socket("127.0.0.1", port);
		Check.equal(true, isHeld(socket));
		var told = Check.uncaughtIn(() -> Check.until(() -> !isHeld(socket), "the end of the attempt"));
		Check.equal(1, told.length);
		Check.equal(false, socket.connected);
	}
	#end

	function overwriteStack(depth:Int):Int {
		var numbers = [depth, depth + 1];
		return depth == 0 ? 0 : overwriteStack(depth - 1) + numbers[1];
	}

	function testSocketsThatAreHeldStayOpenAndHeardInManyCollections() {
		var held = [];
		var server = Pair.listen(e -> {
			held.push(e.socket);
			e.socket.addEventListener(ProgressEvent.SOCKET_DATA, p -> {
				Check.collect(); // inside of a listener
				(p.target : Socket).writeUTFBytes((p.target : Socket).readUTFBytes(5));
			});
		});
		var clients = [for (_ in 0...20) Pair.connect(server.localPort)];
		Check.until(() -> held.length == 20, "20 connect events");
		for (round in 0...5) {
			Check.collect();
			for (client in clients)
				client.output.writeString("hello");
			Check.until(() -> sys.net.Socket.select(clients, [], [], 0).read.length == 20, "20 answers");
			for (client in clients)
				Check.equal("hello", client.input.readString(5));
		}
		for (client in clients)
			client.close();
		server.close();
	}

	/** The poll waits where the collector need not wait for it, and a listener leaves that place: also if it throws. **/
	function testFullCollectionsInListenersWhileAnotherThreadAllocates() {
		var running = true;
		var rounds = 0;
		var ended = new Deque<Bool>();
		Thread.create(() -> {
			var kept = [];
			while (running) {
				kept = [for (i in 0...2000) {text: 'text $i', others: [i, i + 1]}];
				rounds++;
			}
			ended.add(kept.length > 0);
		});
		var count = 0;
		var received = new StringBuf();
		var pair = new Pair(socket -> socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
			Check.collect();
			received.add(socket.readUTFBytes(socket.bytesAvailable));
			count++;
			if (count % 2 == 0)
				throw "on every path";
		}));
		var sent = new StringBuf();
		var told = Check.uncaughtIn(() -> {
			for (i in 0...60) {
				pair.client.output.writeString('message $i;');
				sent.add('message $i;');
				Check.until(() -> count == i + 1, "the message");
			}
		});
		Check.equal(sent.toString(), received.toString());
		Check.equal(30, told.length);
		var before = rounds;
		Check.until(() -> rounds > before, "the other thread goes on");
		running = false;
		Check.equal(true, ended.pop(true));
		pair.close();
	}

	/** A loop that waits without end must not hold up the other threads' collections. **/
	function testAWaitHoldsUpNoCollection() {
		var done = new Deque<Bool>();
		var socket = new Socket();
		var server = Pair.listen();
		Thread.create(() -> {
			for (_ in 0...10)
				Check.collect();
			done.add(true);
		});
		// If collections had to wait for the poll they would not be over when it is: it waits for nothing. On neko it is
		// interrupted by the collector's signals.
		var end = haxe.Timer.stamp() + 1;
		var isDone = false;
		while (!isDone && haxe.Timer.stamp() < end) {
			Pump.poll(1000);
			isDone = done.pop(false) == true;
		}
		Check.isTrue(isDone, "collections wait for the poll");
		server.close();
		Check.equal(false, socket.connected);
	}

	function testEachThreadHasALoopOfItsOwn() {
		var ports = new Deque<Int>();
		var results = new Deque<String>();
		Thread.create(() -> {
			try {
				var held = [];
				var server = Pair.listen(e -> {
					held.push(e.socket);
					e.socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> e.socket.writeUTFBytes(e.socket.readUTFBytes(5)));
					e.socket.addEventListener(Event.CLOSE, _ -> Pump.stop());
				});
				ports.add(server.localPort);
				Pump.run();
				results.add('${held.length}');
			} catch (error:haxe.Exception) {
				results.add(error.details());
				ports.add(0);
			}
		});
		var client = Pair.connect(ports.pop(true));
		client.output.writeString("hello");
		Check.equal("hello", client.input.readString(5));
		client.close();
		Check.equal("1", results.pop(true));
	}

	function testAnObjectOfAnotherThreadIsRefused() {
		var server = Pair.listen();
		var results = new Deque<String>();
		Thread.create(() -> {
			try {
				server.close();
				results.add("closed");
			} catch (error:Error) {
				results.add(Type.getClassName(Type.getClass(error)));
			}
		});
		Check.equal("serversocket.Error", results.pop(true));
		server.close();
	}

	function testRunEndsWhenNothingCanHappen() {
		Check.collect();
		var results = new Deque<String>();
		Thread.create(() -> {
			Pump.run();
			results.add("ended");
		});
		Check.equal("ended", results.pop(true));
	}
}
