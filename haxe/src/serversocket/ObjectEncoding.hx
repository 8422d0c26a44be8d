package serversocket;

/** The formats of `readObject` and `writeObject`. **/
enum abstract ObjectEncoding(Int) from Int to Int {
	var AMF0 = 0;
	var AMF3 = 3;
	var DEFAULT = 3;
}
