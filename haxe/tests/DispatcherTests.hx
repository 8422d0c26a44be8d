// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

@:keep
class DispatcherTests {
	var heard:Array<String>;

	public function new() {}

	function hear(word:String):Event->Void {
		return _ -> heard.push(word);
	}

	function dispatcher():EventDispatcher {
		heard = [];
		return new EventDispatcher();
	}

	function testHigherPrioritiesComeFirstAndEqualOnesInOrder() {
		var d = dispatcher();
		d.addEventListener("x", hear("a"));
		d.addEventListener("x", hear("b"), false, 5);
		d.addEventListener("x", hear("c"));
		d.addEventListener("x", hear("d"), false, -5);
		d.addEventListener("x", hear("e"), false, 5);
		d.dispatchEvent(new Event("x"));
		Check.list(["b", "e", "a", "c", "d"], heard);
	}

	function testAListenerIsRegisteredOnceForEachPhase() {
		var d = dispatcher();
		var listener = hear("a");
		d.addEventListener("x", listener);
		d.addEventListener("x", listener, false, 9);
		d.addEventListener("x", listener, true);
		d.dispatchEvent(new Event("x"));
		Check.list(["a"], heard);
		d.removeEventListener("x", listener);
		Check.equal(true, d.hasEventListener("x"));
		d.removeEventListener("x", listener, true);
		Check.equal(false, d.willTrigger("x"));
	}

	function testAMethodIsTheSameListenerEachTime() {
		var d = dispatcher();
		d.addEventListener("x", hearMethod);
		d.addEventListener("x", hearMethod);
		d.dispatchEvent(new Event("x"));
		d.removeEventListener("x", hearMethod);
		d.dispatchEvent(new Event("x"));
		Check.list(["method"], heard);
	}

	function hearMethod(_:Event) {
		heard.push("method");
	}

	function testListenersOfTheCapturePhaseAreNeverCalled() {
		var d = dispatcher();
		d.addEventListener("x", hear("a"), true);
		Check.equal(true, d.hasEventListener("x"));
		d.dispatchEvent(new Event("x"));
		Check.list([], heard);
	}

	function testOneThatIsRemovedDuringTheDispatchIsNotCalled() {
		var d = dispatcher();
		var second = hear("b");
		d.addEventListener("x", _ -> d.removeEventListener("x", second));
		d.addEventListener("x", second);
		d.addEventListener("x", hear("c"));
		d.dispatchEvent(new Event("x"));
		Check.list(["c"], heard);
	}

	function testOneThatIsAddedDuringTheDispatchHearsTheNext() {
		var d = dispatcher();
		d.addEventListener("x", _ -> d.addEventListener("x", hearMethod));
		d.dispatchEvent(new Event("x"));
		Check.list([], heard);
		d.dispatchEvent(new Event("x"));
		Check.list(["method"], heard);
	}

	function testOneThatIsRemovedAndAddedAgainDuringTheDispatchHearsTheNext() {
		var d = dispatcher();
		d.addEventListener("x", _ -> {
			d.removeEventListener("x", hearMethod);
			d.addEventListener("x", hearMethod);
		});
		d.addEventListener("x", hearMethod);
		d.dispatchEvent(new Event("x"));
		Check.list([], heard);
	}

	function testOneThatRemovesItselfSkipsNobody() {
		var d = dispatcher();
		var self:Event->Void = null;
		self = _ -> {
			heard.push("a");
			d.removeEventListener("x", self);
		};
		d.addEventListener("x", self);
		d.addEventListener("x", hear("b"));
		d.dispatchEvent(new Event("x"));
		d.dispatchEvent(new Event("x"));
		Check.list(["a", "b", "b"], heard);
	}

	function testTheOthersRunAfterOneThatThrows() {
		var d = dispatcher();
		d.addEventListener("x", _ -> throw "a string");
		d.addEventListener("x", _ -> throw new RangeError("an error", 2006));
		d.addEventListener("x", hear("c"));
		var told = Check.uncaughtIn(() -> {
			Check.equal(true, d.dispatchEvent(new Event("x")));
			d.dispatchEvent(new Event("x")); // nothing has got stuck
		});
		Check.list(["c", "c"], heard);
		Check.list(["a string", "RangeError: Error #2006: an error", "a string", "RangeError: Error #2006: an error"], told);
	}

	function testAnErrorInUncaughtGoesNoFurther() {
		var d = dispatcher();
		d.addEventListener("x", _ -> throw "first");
		d.addEventListener("x", hear("b"));
		var before = EventDispatcher.uncaught;
		EventDispatcher.uncaught = _ -> throw "second";
		d.dispatchEvent(new Event("x"));
		EventDispatcher.uncaught = before;
		Check.list(["b"], heard);
	}

	function testDispatchesMayBeNested256Deep() {
		var d = dispatcher();
		var depth = 0;
		d.addEventListener("x", _ -> {
			depth++;
			d.dispatchEvent(new Event("x"));
		});
		var told = Check.uncaughtIn(() -> d.dispatchEvent(new Event("x")));
		Check.equal(256, depth);
		Check.list(["Error: Error #2094: Event dispatch recursion overflow."], told);
		depth = 255;
		Check.uncaughtIn(() -> d.dispatchEvent(new Event("x")));
		Check.equal(511, depth);
	}

	function testTheResultTellsWhetherTheDefaultWasPrevented() {
		var d = dispatcher();
		Check.equal(true, d.dispatchEvent(new Event("x", false, true)));
		d.addEventListener("x", e -> (e : Event).preventDefault());
		Check.equal(false, d.dispatchEvent(new Event("x", false, true)));
		Check.equal(true, d.dispatchEvent(new Event("x", false, false)));
	}

	function testStopImmediatePropagationStopsAndStopPropagationDoesNot() {
		var d = dispatcher();
		d.addEventListener("x", e -> (e : Event).stopPropagation(), false, 2);
		d.addEventListener("x", hear("a"), false, 1);
		d.addEventListener("x", e -> (e : Event).stopImmediatePropagation());
		d.addEventListener("x", hear("b"));
		Check.equal(true, d.dispatchEvent(new Event("x")));
		Check.list(["a"], heard);
	}

	function testAnEventThatWasDeliveredIsCloned() {
		var d = dispatcher();
		var seen = [];
		var event = new Event("x", false, true);
		d.dispatchEvent(event); // to nobody
		d.addEventListener("x", e -> seen.push(e));
		d.dispatchEvent(event);
		d.dispatchEvent(event);
		Check.equal(event, seen[0]);
		Check.isTrue(seen[1] != event, "the second is a clone");
		Check.equal("x", (seen[1] : Event).type);
		Check.equal(true, (seen[1] : Event).cancelable);
	}

	function testAnEventKnowsItsTarget() {
		var outer = dispatcher();
		var inner = new EventDispatcher(outer);
		var event = new Event("x");
		Check.equal(null, event.target);
		Check.equal(EventPhase.AT_TARGET, event.eventPhase);
		inner.addEventListener("x", hear("a"));
		inner.dispatchEvent(event);
		Check.equal((outer : Dynamic), event.target);
		Check.equal((outer : Dynamic), event.currentTarget);
	}

	function testNullsAreRefused() {
		var d = dispatcher();
		var e = Check.throws(TypeError, 2007, () -> d.addEventListener("x", null));
		Check.equal("Parameter listener must be non-null.", e.message);
		e = Check.throws(TypeError, 2007, () -> d.addEventListener(null, hear("a")));
		Check.equal("Parameter type must be non-null.", e.message);
		e = Check.throws(TypeError, 2007, () -> d.dispatchEvent(null));
		Check.equal("Parameter event must be non-null.", e.message);
		d.removeEventListener("x", null);
		d.removeEventListener(null, hear("a"));
	}

	function testTextsOfEvents() {
		Check.equal('[Event type="x" bubbles=false cancelable=false eventPhase=2]', new Event("x").toString());
		Check.equal('[ServerSocketConnectEvent type="connect" bubbles=false cancelable=false socket=null]',
			new ServerSocketConnectEvent(ServerSocketConnectEvent.CONNECT).toString());
		Check.equal('[ProgressEvent type="socketData" bubbles=false cancelable=false eventPhase=2 bytesLoaded=5 bytesTotal=0]',
			new ProgressEvent(ProgressEvent.SOCKET_DATA, false, false, 5).toString());
		Check.equal('[OutputProgressEvent type="outputProgress" bubbles=false cancelable=false bytesPending=0 bytesTotal=5]',
			new OutputProgressEvent(OutputProgressEvent.OUTPUT_PROGRESS, false, false, 0, 5).toString());
		Check.equal('[IOErrorEvent type="ioError" bubbles=false cancelable=false eventPhase=2 text="Error #2031: Socket Error."]',
			new IOErrorEvent(IOErrorEvent.IO_ERROR, false, false, "Error #2031: Socket Error.", 2031).toString());
		Check.equal("[object EventDispatcher]", new EventDispatcher().toString());
	}

	function testClonesKeepClassAndContents() {
		var events:Array<Event> = [
			new ProgressEvent("a", true, true, 1, 2), new OutputProgressEvent("a", true, true, 1, 2),
			new IOErrorEvent("a", true, true, "text", 3, 4), new ServerSocketConnectEvent("a", true, true), new TextEvent("a", true, true, "text"),
			new ErrorEvent("a", true, true, "text", 3), new SecurityErrorEvent("a", true, true, "text", 3)
		];
		for (event in events) {
			Check.equal(event.toString(), event.clone().toString());
			Check.equal(Type.getClassName(Type.getClass(event)), Type.getClassName(Type.getClass(event.clone())));
		}
	}
}
