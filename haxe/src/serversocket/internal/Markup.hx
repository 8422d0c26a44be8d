// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/**
	XML on its way to and from AMF.

	Haxe parses and prints by recursion, and an overflowing stack ends the process: so elements may be nested no deeper
	than AMF's values, 128.
**/
class Markup {
	static inline final MAX_DEPTH = 128;

	/** The document, or the text itself if Haxe cannot parse it, it is nested too deep, or it has a document type. **/
	public static function parse(text:String):Dynamic {
		if (!isShallow(text))
			return text;
		return try Xml.parse(text) catch (_:haxe.Exception) text;
	}

	/** `above` is how many elements this one is in. **/
	public static function isTooDeep(xml:Xml, above:Int = 0):Bool {
		if (xml.nodeType != Element && xml.nodeType != Document)
			return false;
		var depth = xml.nodeType == Element ? above + 1 : above;
		if (depth > MAX_DEPTH)
			return true;
		for (child in xml)
			if (isTooDeep(child, depth))
				return true;
		return false;
	}

	/** Goes through the text as Haxe's parser does, but only counts. What stops that parser may end it in any way. **/
	static function isShallow(text:String):Bool {
		var depth = 0;
		var at = 0;
		while ((at = text.indexOf("<", at)) >= 0) {
			at = skipSpaces(text, at + 1);
			switch (StringTools.fastCodeAt(text, at)) {
				case "!".code:
					at = endOfSpecial(text, at);
					if (at == DOCUMENT_TYPE)
						return false;
				case "?".code:
					at = text.indexOf("?>", at + 1);
				case "/".code:
					depth--;
				case _:
					at = endOfTag(text, at);
					if (at > 0 && text.charAt(at - 1) != "/" && ++depth > MAX_DEPTH)
						return false;
			}
			if (at < 0)
				return true; // something does not end
		}
		return true;
	}

	static inline final DOCUMENT_TYPE = -2;

	/** Where a comment or CDATA ends, which begins with an exclamation mark. **/
	static function endOfSpecial(text:String, at:Int):Int {
		if (text.substr(at, 3) == "!--")
			return text.indexOf("-->", at + 3);
		if (text.substr(at, 8).toUpperCase() == "![CDATA[")
			return text.indexOf("]]>", at + 8);
		return DOCUMENT_TYPE;
	}

	/** Where the tag's '>' is, which is not in quotes; -1 if there is none. **/
	static function endOfTag(text:String, at:Int):Int {
		var quote = 0;
		while (at < text.length) {
			var character = StringTools.fastCodeAt(text, at);
			if (quote == 0 && character == ">".code)
				return at;
			if (quote == 0 && (character == "'".code || character == '"'.code))
				quote = character;
			else if (character == quote)
				quote = 0;
			at++;
		}
		return -1;
	}

	static function skipSpaces(text:String, at:Int):Int {
		while (StringTools.isSpace(text, at))
			at++;
		return at;
	}
}
