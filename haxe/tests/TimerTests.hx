// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.Timer.stamp;
import serversocket.*;
import sys.thread.Deque;
import sys.thread.Thread;

@:keep
class TimerTests {
	public function new() {}

	function testATimerCounts() {
		var heard = [];
		var timer = new Timer(1, 2);
		timer.addEventListener(TimerEvent.TIMER, e -> heard.push('${e.type} ${timer.currentCount} ${timer.running}'));
		timer.addEventListener(TimerEvent.TIMER_COMPLETE, e -> heard.push(e.type));
		Check.equal(false, timer.running);
		timer.start();
		timer.start();
		Check.equal(true, timer.running);
		Check.until(() -> heard.length == 3, "two counts, and the end");
		Check.list(["timer 1 true", "timer 2 false", "timerComplete"], heard);
		Check.equal(false, timer.running);
		Check.equal(2, timer.currentCount);
		timer.reset();
		Check.equal(0, timer.currentCount);
		timer.start();
		Check.until(() -> heard.length == 6, "once more");
		Check.list(["timer 1 true", "timer 2 false", "timerComplete"], heard.slice(3));
	}

	function testDelaysOutOfRange() {
		var timer = new Timer(1e12);
		Check.equal(1e12, timer.delay);
		for (delay in [-1, Math.NaN, Math.POSITIVE_INFINITY]) {
			Check.throws(RangeError, 2066, () -> new Timer(delay));
			var error = Check.throws(RangeError, 2066, () -> timer.delay = delay);
			Check.equal("The Timer delay specified is out of range.", error.message);
		}
		timer.start(); // as long as C can wait
		Check.settle();
		Check.equal(0, timer.currentCount);
		timer.stop();
	}

	/** Never early, and none that is not due. **/
	function testTimersComeInTheOrderOfTheirTimes() {
		var heard = [];
		var start = stamp();
		for (delay in [40, 10, 25]) {
			var timer = new Timer(delay, 1);
			timer.addEventListener(TimerEvent.TIMER, _ -> heard.push('$delay ${stamp() - start >= delay / 1000 - 0.001}'));
			timer.start();
		}
		Check.until(() -> heard.length == 3, "three timers");
		Check.list(["10 true", "25 true", "40 true"], heard);
	}

	function testAStoppedTimerIsSilentEvenIfItIsDue() {
		var count = 0;
		var second = new Timer(5);
		second.addEventListener(TimerEvent.TIMER, _ -> count++);
		var first = new Timer(5, 1);
		first.addEventListener(TimerEvent.TIMER, _ -> second.stop());
		first.start();
		second.start();
		Sys.sleep(0.02); // both are due
		Check.until(() -> !first.running, "the first");
		Check.settle();
		Check.equal(0, count);
		Check.equal(false, second.running);
		second.stop(); // nothing happens
		second.start();
		Check.until(() -> count == 3, "it counts again");
		second.stop();
	}

	function testDelayAndRepeatCountCanBeChangedWhileItRuns() {
		var count = 0;
		var timer = new Timer(3600000);
		timer.addEventListener(TimerEvent.TIMER, _ -> {
			if (++count == 2)
				timer.repeatCount = 2;
		});
		timer.start();
		Check.settle();
		Check.equal(0, count);
		timer.delay = 2;
		Check.equal(true, timer.running);
		Check.until(() -> !timer.running, "the end that its listener has set");
		Check.equal(2, count);
		timer.delay = 1; // of one that does not run
		Check.equal(false, timer.running);
	}

	/** As in AIR it is held while it runs, whoever else holds it. **/
	function testATimerThatNobodyHoldsCounts() {
		var heard = [];
		forgotten(heard, 50);
		for (_ in 0...3) {
			overwriteStack(50);
			Check.collect();
		}
		Check.until(() -> heard.length == 3, "three counts");
	}

	function forgotten(heard:Array<Int>, depth:Int) {
		if (depth > 0) {
			forgotten(heard, depth - 1);
			return;
		}
		var timer = new Timer(2, 3);
		timer.addEventListener(TimerEvent.TIMER, e -> heard.push((e.target : Timer).currentCount));
		timer.start();
	}

	function overwriteStack(depth:Int):Int {
		var numbers = [depth, depth + 1];
		return depth == 0 ? 0 : overwriteStack(depth - 1) + numbers[1];
	}

	function testWhatATimersListenerThrowsStopsNothing() {
		var count = 0;
		var timer = new Timer(1, 2);
		timer.addEventListener(TimerEvent.TIMER, _ -> throw "no");
		timer.addEventListener(TimerEvent.TIMER, _ -> count++);
		timer.start();
		var told = Check.uncaughtIn(() -> Check.until(() -> count == 2, "two counts"));
		Check.list(["no", "no"], told);
	}

	/** A socket can be written to from it, closed, and made. **/
	function testATimersListenerUsesSockets() {
		var pair = new Pair();
		var timer = new Timer(2, 3);
		timer.addEventListener(TimerEvent.TIMER, _ -> pair.socket.writeUTFBytes('${timer.currentCount};'));
		timer.addEventListener(TimerEvent.TIMER_COMPLETE, _ -> pair.socket.close());
		timer.start();
		Check.equal("1;2;3;", pair.receive(100).toString());
		pair.close();
	}

	/** `Pump.run` goes on while one runs, and ends behind it. **/
	function testAnotherThreadHasTimersOfItsOwn() {
		var results = new Deque<String>();
		var ours = new Timer(3600000);
		ours.start();
		Thread.create(() -> {
			try {
				var timer = new Timer(2, 3);
				timer.start();
				Pump.run();
				results.add('${timer.currentCount}');
				ours.stop();
				results.add("stopped");
			} catch (error:Error) {
				results.add(Type.getClassName(Type.getClass(error)));
			}
		});
		Check.equal("3", results.pop(true));
		Check.equal("serversocket.Error", results.pop(true));
		Check.equal(true, ours.running);
		ours.stop();
	}
}
