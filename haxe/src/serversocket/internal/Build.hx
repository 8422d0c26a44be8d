package serversocket.internal;

#if macro
import haxe.io.Path;
import haxe.macro.Compiler;
import haxe.macro.Context;
import haxe.macro.Expr.Field;
import sys.FileSystem;

/** Tells hxcpp's build where the C library is, so that a class path is all that a program needs. **/
class Build {
	/** What `extraParams.hxml` calls: for users of the haxelib. **/
	public static function start():Void {
		if (!Context.defined("cpp") && !Context.defined("neko") && !Context.defined("display"))
			Context.error("server-socket is for the targets cpp and neko", Context.currentPos());
		if (Context.defined("server-socket-openfl"))
			Compiler.addClassPath(Path.join([home(), "openfl-dropin"]));
	}

	/** Adds the `@:buildXml` to `serversocket.Native`, with the folders that `locate` finds. **/
	public static function addBuildXml():Array<Field> {
		var found = locate();
		var xml = '<set name="SERVER_SOCKET_INCLUDE" value="${found.include}" />
			<set name="SERVER_SOCKET_LIB" value="${found.lib}" />
			<include name="${Path.join([home(), "include.xml"])}" />';
		Context.getLocalClass().get().meta.add(":buildXml", [macro $v{xml}], Context.currentPos());
		return Context.getBuildFields();
	}

	/**
		The folders of the header and the library, "" for the compiler's own: what was asked for with
		`-D SERVER_SOCKET_LIB=` and `-D SERVER_SOCKET_INCLUDE=` or in the environment; else this checkout's own build; else
		what `pkg-config` says.
	**/
	static function locate():{include:String, lib:String} {
		var checkout = Path.directory(home());
		var lib = setting("SERVER_SOCKET_LIB");
		var include = setting("SERVER_SOCKET_INCLUDE");
		if (include == null && FileSystem.exists('$checkout/include/server_socket.h'))
			include = '$checkout/include';
		if (lib == null && FileSystem.exists('$checkout/target/release'))
			lib = '$checkout/target/release';
		return {
			include: include != null ? include : packaged("includedir"),
			lib: lib != null ? lib : packaged("libdir")
		};
	}

	static function setting(name:String):Null<String> {
		var value = Context.defined(name) ? Context.definedValue(name) : Sys.getEnv(name);
		return value == null || value == "" ? null : FileSystem.absolutePath(value);
	}

	static function packaged(variable:String):String {
		try {
			var process = new sys.io.Process("pkg-config", ['--variable=$variable', "server_socket"]);
			var answer = StringTools.trim(process.stdout.readAll().toString());
			return process.exitCode() == 0 ? answer : "";
		} catch (_:haxe.Exception) { // there is no pkg-config
			return "";
		}
	}

	/** The folder of this haxelib. **/
	static function home():String {
		var here = FileSystem.absolutePath(Context.resolvePath("serversocket/internal/Build.hx"));
		return Path.normalize(Path.join([Path.directory(here), "../../.."]));
	}
}
#end
