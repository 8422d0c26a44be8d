// SPDX-License-Identifier: MIT OR Apache-2.0
import serversocket.*;

/** All tests, or those whose names contain the program's argument. Ends with 1 if one has failed. **/
class Suite {
	static function main() {
		Pump.automatic = false; // the tests pump themselves
		var wanted = Sys.args().length > 0 ? Sys.args()[0] : "";
		var run = 0;
		var failed = 0;
		var groups:Array<Any> = [
			new DispatcherTests(), new ServerTests(), new SocketTests(), new DataTests(), new ByteArrayTests(), new ObjectTests(), new CollectorTests(),
			new OpenflTests(), new TimerTests(), new EndTests(), new PathTests(), new TlsTests()
			#if cpp, new NativeTests() #end
		];
		for (group in groups) {
			var type = Type.getClass(group);
			for (field in Type.getInstanceFields(type)) {
				var name = '${Type.getClassName(type)}.$field';
				if (!StringTools.startsWith(field, "test") || name.indexOf(wanted) < 0)
					continue;
				run++;
				try {
					Reflect.callMethod(group, Reflect.field(group, field), []);
					Sys.println('ok      $name');
				} catch (error:haxe.Exception) {
					failed++;
					Sys.println('FAILED  $name\n${error.details()}');
				}
			}
		}
		Sys.println('$run tests, $failed failed');
		Sys.exit(failed == 0 && run > 0 ? 0 : 1);
	}
}
