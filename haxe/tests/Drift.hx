// SPDX-License-Identifier: MIT OR Apache-2.0
#if macro
import haxe.macro.Context;
import haxe.macro.Type;

/**
	`--macro Drift.write("file.cpp")` writes a C++ file that compiles only if `serversocket.Native` says the same as
	server_socket.h: a static_assert for each function and each constant. "// name" lines list them.
**/
class Drift {
	static final types = [
		"Void" => "void", "cpp.Void" => "void", "Bool" => "bool", "cpp.Char" => "char", "cpp.Int8" => "int8_t", "cpp.UInt8" => "uint8_t",
		"cpp.Int16" => "int16_t", "cpp.UInt16" => "uint16_t", "cpp.Int32" => "int32_t", "cpp.UInt32" => "uint32_t", "cpp.Int64" => "int64_t",
		"cpp.UInt64" => "uint64_t", "cpp.SizeT" => "size_t", "cpp.Float32" => "float", "cpp.Float64" => "double",
		"cpp.ConstCharStar" => "const char *", "serversocket.Status" => "ss_status", "serversocket.Option" => "ss_option",
		"serversocket.Task" => "ss_task", "serversocket.Listener" => "ss_listener", "serversocket.Log" => "ss_log",
		"serversocket.ObjectHandle" => "ss_object *", "serversocket.NativeLoop" => "ss_loop", "serversocket.NativeTimer" => "ss_timer", "serversocket.NativeTls" => "ss_tls", "serversocket.NativeServer" => "ss_server",
		"serversocket.NativeSocket" => "ss_socket", "serversocket.NativeEvent" => "ss_event", "serversocket.NativeValue" => "ss_value",
		"serversocket.NativeStats" => "ss_stats", "serversocket.NativeBytes" => "ss_bytes"
	];

	public static function write(path:String):Void {
		Context.onGenerate(_ -> sys.io.File.saveContent(path, source()));
	}

	static function source():String {
		var text = new StringBuf();
		text.add("#include <server_socket.h>\n#include <type_traits>\n");
		for (field in classNamed("serversocket.Native").statics.get()) {
			text.add('// ${field.name}\n');
			switch (Context.follow(field.type)) {
				case TFun(arguments, result):
					var parameters = [for (argument in arguments) cType(argument.t)].join(", ");
					text.add('static_assert(std::is_same<decltype(&::${field.name}), ${cType(result)} (*)($parameters)>::value, "${field.name}");\n');
					if (field.meta.extract(":native")[0] == null || nativeName(field) != '::${field.name}')
						Context.error('${field.name} is bound to another name', field.pos);
				case _:
					text.add('static_assert(${field.name} == ${valueOf(field)}, "${field.name}");\n');
			}
		}
		for (field in classNamed("serversocket.NativeStats").fields.get()) {
			var name = field.meta.has(":native") ? nativeName(field) : field.name;
			text.add('static_assert(std::is_same<decltype(ss_stats::$name), ${cType(field.type)}>::value, "ss_stats.$name");\n');
		}
		return text.toString();
	}

	static function classNamed(name:String):ClassType {
		for (type in Context.getModule("serversocket.Native")) {
			switch (type) {
				case TInst(found, _) if (nameOf(found.get()) == name):
					return found.get();
				case _:
			}
		}
		throw 'there is no $name';
	}

	static function nativeName(field:ClassField):String {
		return switch (field.meta.extract(":native")[0].params[0].expr) {
			case EConst(CString(name)): name;
			case _: null;
		}
	}

	static function valueOf(field:ClassField):String {
		return switch (field.expr().expr) {
			case TConst(TInt(value)): '$value';
			case _: throw '${field.name} is no number';
		}
	}

	/** A type of Haxe as C++ spells it. The names of typedefs count: some of C's types are the same to Haxe. **/
	static function cType(type:Type):String {
		switch (type) {
			case TType(named, _):
				var name = nameOf(named.get());
				return types.exists(name) ? types[name] : cType(Context.follow(type, true));
			case TInst(named, [pointee]) if (nameOf(named.get()) == "cpp.RawPointer"):
				return '${cType(pointee)} *';
			case TInst(named, [pointee]) if (nameOf(named.get()) == "cpp.RawConstPointer"):
				return 'const ${cType(pointee)} *';
			case TInst(named, _):
				return known(nameOf(named.get()));
			case TAbstract(named, [pointee]) if (nameOf(named.get()) == "cpp.RawPointer"):
				return '${cType(pointee)} *';
			case TAbstract(named, [pointee]) if (nameOf(named.get()) == "cpp.RawConstPointer"):
				return 'const ${cType(pointee)} *';
			case TAbstract(named, _):
				return known(nameOf(named.get()));
			case TLazy(get):
				return cType(get());
			case _:
				throw 'no type of C: $type';
		}
	}

	static function known(name:String):String {
		if (!types.exists(name))
			throw 'no type of C: $name';
		return types[name];
	}

	static function nameOf(type:BaseType):String {
		return type.pack.concat([type.name]).join(".");
	}
}
#end
