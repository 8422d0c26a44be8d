// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

import haxe.Int64;

/** A map by words of the machine: handles, addresses. Those of one value differ in their lower halves, mostly. **/
class Words<T> {
	final halves = new Map<Int, Map<Int, T>>();

	public function new() {}

	public function get(word:Int64):Null<T> {
		var lower = halves.get(word.high);
		return lower == null ? null : lower.get(word.low);
	}

	public function set(word:Int64, value:T):Void {
		var lower = halves.get(word.high);
		if (lower == null)
			halves.set(word.high, lower = new Map());
		lower.set(word.low, value);
	}
}
