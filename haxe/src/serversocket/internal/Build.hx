// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

#if macro
import haxe.io.Path;
import haxe.macro.Compiler;
import haxe.macro.Context;
import haxe.macro.Expr.Field;
import haxe.macro.Type.ModuleType;
import sys.FileSystem;

using StringTools;

/** What happens when a program is compiled: where the C library is, and how these classes live with OpenFL's. **/
class Build {
	/** What `extraParams.hxml` calls, for users of the haxelib; others may call it with `--macro`. **/
	public static function start():Void {
		var isOurTarget = Context.defined("cpp") || Context.defined("neko");
		if (hasOpenfl()) {
			// On other targets OpenFL's own sockets are used; nothing is shadowed.
			if (isOurTarget && !Context.defined("server-socket-apart"))
				joinOpenfl();
			return;
		}
		if (!isOurTarget && !Context.defined("display"))
			Context.error("server-socket is for the targets cpp and neko", Context.currentPos());
		if (Context.defined("server-socket-openfl"))
			Compiler.addClassPath(Path.join([home(), "openfl-dropin"]));
	}

	// ---- OpenFL ----

	static function hasOpenfl():Bool {
		return pathOf("openfl/display/Sprite.hx") != null;
	}

	static function joinOpenfl():Void {
		Compiler.addClassPath(Path.join([home(), "openfl-app"]));
		Context.onAfterTyping(types -> {
			for (type in types) {
				switch (type) {
					case TClassDecl(_.get() => found) if (found.pack.join(".") == "openfl.net" && isShadowed(found.name)):
						Context.error('openfl.net.${found.name} is OpenFL\'s own here: ${pathOf('openfl/net/${found.name}.hx')} comes before server-socket\'s. The '
							+ "class path that is given last wins: put -lib server-socket after -lib openfl, after every -cp that has "
							+ "openfl.net, and before macros that use it",
							found.pos);
					case _:
				}
			}
		});
	}

	static function isShadowed(name:String):Bool {
		return name == "Socket" || name == "ServerSocket";
	}

	/** A build macro of the classes themselves: beside OpenFL they must have its events, its ByteArray and its errors. **/
	public static function checkWay():Array<Field> {
		if (hasOpenfl() && !Context.defined("server-socket-apart")) {
			var wrong = [
				for (module in ["openfl/net/Socket.hx", "openfl/utils/ByteArray.hx", "serversocket/Event.hx", "serversocket/internal/Memory.hx"])
					if (isInApp(pathOf(module)) == (module == "openfl/utils/ByteArray.hx")) module
			];
			var dropin = pathOf("openfl/utils/ByteArray.hx");
			var position = Context.currentPos();
			if (dropin != null && isIn(dropin, "openfl-dropin"))
				Context.error("openfl-dropin is for programs without OpenFL, and OpenFL is here. Take it off the class path, and use -lib server-socket "
					+ "beside -lib openfl", position);
			if (wrong.length > 0)
				Context.error('OpenFL is here, but server-socket is not set up for it (see ${pathOf(wrong[0])}): its Event, ByteArray and errors would be '
					+ "other types than OpenFL's. Use -lib server-socket beside -lib openfl, or add "
					+ "--macro serversocket.internal.Build.start(); or, if the two never meet, -D server-socket-apart",
					position);
		}
		return Context.getBuildFields();
	}

	static function isInApp(path:Null<String>):Bool {
		return path != null && isIn(path, "openfl-app");
	}

	static function isIn(path:String, folder:String):Bool {
		return normal(path).startsWith('${home()}/$folder/');
	}

	/** The file of a module, null if there is none. **/
	static function pathOf(module:String):Null<String> {
		return try Context.resolvePath(module) catch (_:haxe.Exception) null;
	}

	// ---- The C library ----

	/** Adds the `@:buildXml` to `serversocket.Native`, with what `locate` finds. **/
	public static function addBuildXml():Array<Field> {
		var found = locate();
		var xml = "";
		for (name => value in ["SERVER_SOCKET_INCLUDE" => found.include, "SERVER_SOCKET_LIB" => found.lib, "SERVER_SOCKET_STATIC" => found.archive])
			if (value != null)
				xml += '<set name="$name" value="$value" />\n';
		xml += '<include name="${Path.join([home(), "Build.xml"])}" />';
		Context.getLocalClass().get().meta.add(":buildXml", [macro $v{xml}], Context.currentPos());
		return Context.getBuildFields();
	}

	/**
		The folders of the header and the library, null for the compiler's own: what was asked for with
		`-D SERVER_SOCKET_LIB=` and `-D SERVER_SOCKET_INCLUDE=` or in the environment; else this checkout's own build; else what
		this haxelib has brought; else what `pkg-config` says. And the archive, if it is to be linked into the program.
	**/
	static function locate():{include:Null<String>, lib:Null<String>, archive:Null<String>} {
		var checkout = Path.directory(home());
		var brought = '${home()}/lib/${platform()}';
		var include = first([setting("SERVER_SOCKET_INCLUDE"), existing('$checkout/include/server_socket.h', '$checkout/include'),
			existing('${home()}/include/server_socket.h', '${home()}/include')]);
		var lib = first([setting("SERVER_SOCKET_LIB"), withLibrary('$checkout/target/release'), withLibrary(brought)]);
		if (include == null)
			include = packaged("includedir");
		if (lib == null)
			lib = packaged("libdir");
		if (include == null && !compilerFinds(["-E", "-include", "server_socket.h"]))
			nowhere("server_socket.h");
		else if (lib == null && !compilerFinds(["-shared", "-lserver_socket"]))
			nowhere("libserver_socket");
		var archive = archiveIn(lib);
		if (Context.defined("server-socket-static") && archive == null)
			Context.error('-D server-socket-static: there is no libserver_socket.a (server_socket.lib on Windows) in ${lib == null ? "any folder that is known" : lib}; '
				+ "say where it is with -D SERVER_SOCKET_LIB=folder",
				Context.currentPos());
		var isStatic = Context.defined("server-socket-static") || (archive != null && !hasShared(lib));
		return {include: include, lib: lib, archive: isStatic ? archive : null};
	}

	/** Said when all has been typed, by itself: the classes that are being built here would complain one after the other. **/
	static function nowhere(what:String):Void {
		var position = Context.currentPos();
		Context.onAfterTyping(_ -> Context.error('$what is nowhere to be found: build the C library in a checkout of it (cargo build --release), '
			+ "install it, or say where it is with -D SERVER_SOCKET_INCLUDE=folder and -D SERVER_SOCKET_LIB=folder", position));
	}

	static function withLibrary(folder:String):Null<String> {
		return hasShared(folder) || archiveIn(folder) != null ? folder : null;
	}

	static function hasShared(lib:String):Bool {
		for (name in ["libserver_socket.so", "libserver_socket.dylib", "server_socket.dll.lib", "libserver_socket.dll.a", "server_socket.dll"])
			if (FileSystem.exists('$lib/$name'))
				return true;
		return false;
	}

	static function archiveIn(lib:Null<String>):Null<String> {
		if (lib == null)
			return null;
		for (name in ["libserver_socket.a", "server_socket.lib"])
			if (FileSystem.exists('$lib/$name'))
				return '$lib/$name';
		return null;
	}

	static function setting(name:String):Null<String> {
		var value = Context.defined(name) ? Context.definedValue(name) : Sys.getEnv(name);
		return value == null || value == "" ? null : FileSystem.absolutePath(value);
	}

	static function existing(path:String, folder:String):Null<String> {
		return FileSystem.exists(path) ? folder : null;
	}

	static function first(paths:Array<Null<String>>):Null<String> {
		return Lambda.find(paths, path -> path != null);
	}

	static function packaged(variable:String):Null<String> {
		var answer = outputOf("pkg-config", ['--variable=$variable', "server_socket"]);
		return answer == null || answer == "" ? null : answer;
	}

	/**
		Whether the compiler can do that with an empty source: it has folders of its own. Where that cannot be tried, it is left
		to the compiler to say.
	**/
	static function compilerFinds(arguments:Array<String>):Bool {
		if (Context.defined("no-compilation") || Context.defined("display") || isForeign() || outputOf("c++", ["--version"]) == null)
			return true;
		var empty = Path.join([temporary(), 'server_socket_${Sys.getEnv("USER")}_${Std.random(1 << 30)}']);
		sys.io.File.saveContent('$empty.cpp', "");
		var found = outputOf("c++", ['$empty.cpp', "-o", empty].concat(arguments)) != null;
		for (file in [empty, '$empty.cpp'])
			if (FileSystem.exists(file))
				FileSystem.deleteFile(file);
		return found;
	}

	static function temporary():String {
		var folder = Sys.getEnv("TMPDIR");
		return folder == null || folder == "" ? "/tmp" : folder;
	}

	/** What a program prints, null if it fails or is not there. **/
	static function outputOf(program:String, arguments:Array<String>):Null<String> {
		try {
			var process = new sys.io.Process(program, arguments);
			var answer = process.stdout.readAll().toString().trim();
			var code = process.exitCode();
			process.close();
			return code == 0 ? answer : null;
		} catch (_:haxe.Exception) {
			return null;
		}
	}

	/** Whether the program is for another system than this one, or this one is Windows. **/
	static function isForeign():Bool {
		for (name in ["windows", "mingw", "android", "ios", "iphoneos", "iphonesim", "tvos", "emscripten", "HXCPP_ARM64", "HXCPP_M32"])
			if (Context.defined(name))
				return true;
		return Sys.systemName() == "Windows";
	}

	/** The folder of libraries that a haxelib brings for the program's system: Linux64, Windows64, MacArm64, ... **/
	static function platform():String {
		var system = Sys.systemName();
		for (name => folder in ["android" => "Android", "ios" => "Ios", "iphoneos" => "Ios", "windows" => "Windows", "mingw" => "Windows"])
			if (Context.defined(name))
				system = folder;
		var machine = outputOf("uname", ["-m"]);
		var isArm = Context.defined("HXCPP_ARM64") || machine == "aarch64" || machine == "arm64";
		return system + (Context.defined("HXCPP_M32") ? "" : isArm ? "Arm64" : "64");
	}

	/** The folder of this haxelib. **/
	static function home():String {
		return Path.directory(Path.directory(Path.directory(Path.directory(normal(Context.resolvePath("serversocket/internal/Build.hx"))))));
	}

	static function normal(path:String):String {
		return Path.normalize(FileSystem.absolutePath(path));
	}
}
#end
