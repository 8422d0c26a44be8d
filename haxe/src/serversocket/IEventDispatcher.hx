// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

interface IEventDispatcher {
	function addEventListener<T>(type:EventType<T>, listener:T->Void, useCapture:Bool = false, priority:Int = 0,
		useWeakReference:Bool = false):Void;
	function removeEventListener<T>(type:EventType<T>, listener:T->Void, useCapture:Bool = false):Void;
	function dispatchEvent(event:Event):Bool;
	function hasEventListener(type:String):Bool;
	function willTrigger(type:String):Bool;
}
