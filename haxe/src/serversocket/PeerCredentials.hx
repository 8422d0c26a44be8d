// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** Who the peer of a Unix-domain connection was when it connected: the system's numbers of user, group and process. **/
class PeerCredentials {
	/** From 2147483648 on negative, as `Int` is; so is `gid`. **/
	public final uid:Int;

	public final gid:Int;

	/** -1 where the system does not tell (the BSDs). **/
	public final pid:Int;

	@:allow(serversocket)
	function new(uid:Int, gid:Int, pid:Int) {
		this.uid = uid;
		this.gid = gid;
		this.pid = pid;
	}
}
