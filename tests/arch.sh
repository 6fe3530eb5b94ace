#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Who may call what, checked on the #include lines of every source and on the symbols of every
# object (docs/architecture.md, "Who may call what").  Then plants breaches in a small tree of
# its own and asks that each is found: a check that finds nothing proves nothing.
#
#	arch.sh [BUILD [SOURCE]]
set -u

build=${1:-${top_builddir:-.}}
source=${2:-${top_srcdir:-.}}
work=$(mktemp -d "${TMPDIR:-/tmp}/arch.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

# ---- includes -------------------------------------------------------------------------------

# Lines "file<TAB>header" -> a sentence for each breach.
judge_includes() {
	awk -F'\t' '
	function bad(why) { printf "%s includes <%s>: %s\n", $1, $2, why }
	function of(file) { return $1 ~ file }
	{
		ours = $2 ~ /^(ndm|lib\/|targets\/|server\/|client\/|plugins\/|kit\/|meta\/|os\/)/
	}
	# other people'"'"'s libraries have one door each
	$2 ~ /^event2?[.\/]|^evhttp/ && !of("^server/")		{ bad("libevent is for server/ alone") }
	$2 ~ /^libnbd/ && !of("^lib/os/nbd[^/]*$")		{ bad("libnbd is for lib/os/nbd*.c alone") }
	$2 ~ /^openssl\// && !of("^lib/kit/(cipher|hash)[^/]*$|^(server|client)/tls[^/]*$") \
		{ bad("OpenSSL is for lib/kit/cipher*, lib/kit/hash* and server/tls*") }
	$2 ~ /^(gcrypt|argon2|nettle|lz4)/ && !of("^lib/kit/")	{ bad("libgcrypt, nettle, libargon2 and liblz4 are for lib/kit/") }
	$2 ~ /^yaml/ && !of("^lib/yaml[^/]*$")			{ bad("libyaml is for lib/yaml*.c alone") }
	$2 ~ /^liburing/ && !of("^lib/os/")			{ bad("io_uring is for lib/os/") }
	$2 ~ /^nbdkit/ && !of("^plugins/")			{ bad("nbdkit is for plugins/") }
	$2 ~ /^cmocka/						{ bad("cmocka is for tests/") }

	# our own folders
	of("^client/") && $2 ~ /^(ndm\.h|ndm-target\.h|lib\/|targets\/|server\/|plugins\/)/ \
		{ bad("client/ talks to ndmd through ndm-control.h only") }
	of("^(server|plugins)/") && $2 ~ /^(ndm-target\.h|lib\/|targets\/|client\/)/ \
		{ bad("hosts use ndm.h only") }
	of("^server/") && $2 ~ /^plugins\//			{ bad("a host knows no other host") }
	of("^plugins/") && $2 ~ /^server\//			{ bad("a host knows no other host") }
	of("^(targets|lib/kit|lib/meta)/") && $2 ~ /^(ndm\.h|ndm-control\.h|lib\/os\/|os\/|server\/|client\/|plugins\/)/ \
		{ bad("targets and their kit use ndm-target.h, lib/kit and lib/meta") }
	of("^(targets|lib/kit|lib/meta)/") && $2 ~ /^lib\/[^\/]+$/ \
		{ bad("the insides of the core are not for targets") }
	of("^lib/(kit|meta)/") && $2 ~ /^targets\//		{ bad("the kit knows no target") }
	of("^lib/") && $2 ~ /^(server|client|plugins)\//	{ bad("lib/ knows nothing above it") }
	of("^lib/[^/]+$") && $2 ~ /^(lib\/)?os\//		{ bad("the core knows no OS, only the world") }
	of("^lib/os/") && $2 ~ /^(targets|lib\/kit|lib\/meta)\//	{ bad("lib/os/ knows nothing above lib/") }
	# one target does not know another
	of("^targets/[^/]+/") && $2 ~ /^targets\// {
		split($1, a, "/"); split($2, b, "/")
		if (a[2] != b[2]) bad("another target")
	}
	of("^targets/[^/]+$") && $2 ~ /^targets\// && !of("^targets/all\\.[ch]$") \
		{ bad("another target") }

	# what of the C library targets may have; the rest does I/O, keeps time or makes threads
	of("^(targets|lib/kit|lib/meta)/") && !ours && $2 !~ /^(openssl|gcrypt|nettle|argon2|lz4|config\.h)/ && $2 !~ /\// &&
	$2 !~ /^(assert|ctype|endian|errno|inttypes|limits|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|byteswap)\.h$/ &&
	system_header($0) { bad("targets get the outside through stores, clock and dice") }
	of("^(targets|lib/kit|lib/meta)/") && $2 ~ /^(sys|linux|netinet|arpa)\// && $2 != "sys/uio.h" \
		{ bad("targets get the outside through stores, clock and dice") }
	function system_header(line) { return $3 == "<" }
	' "$1"
}

list_includes() {	# SOURCE: "file<TAB>header<TAB>< or quote"
	(cd "$1" && find client server plugins targets lib include -name '*.[ch]' 2>/dev/null | sort |
		xargs -r grep -HE '^[[:space:]]*#[[:space:]]*include' |
		sed -nE 's/^([^:]*):[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]*)[>"].*/\1\t\3\t\2/p')
}

# ---- symbols --------------------------------------------------------------------------------

list_symbols() {	# BUILD: "source-like name<TAB>kind<TAB>symbol"; kind U, or D for defined
	(cd "$1" && find client server plugins targets lib -name '*.o' 2>/dev/null | sort |
	while read -r object; do
		# lib/.libs/libndm_core_la-bio.o and lib/libndm_core_la-bio.o are lib/bio
		name=${object%.o}
		name=${name/\/.libs\//\/}
		base=${name##*/}
		case $base in
		*_la-*) base=${base#*_la-} ;;
		server_ndmd-* | client_ndm-*) base=${base#*-} ;;
		esac
		nm -P "$object" 2>/dev/null |
			awk -v name="${name%/*}/$base" '
			$2 == "U" || $2 == "w" || $2 == "v" { print name "\tU\t" $1 }
			$2 ~ /^[TDBRVWC]$/ { print name "\tD\t" $1 }'
	done | sort -u)
}

judge_symbols() {
	awk -F'\t' '
	function layer(o) {
		if (o ~ /^targets\/all$/) return "list"
		# codecs alone, which clients link, too (ndm-verity.h, ndm-integrity.h)
		if (o ~ /^targets\/[^\/]+\/format$/) return "format"
		if (o ~ /^targets\/[^\/]+\//) { split(o, p, "/"); return "target:" p[2] }
		if (o ~ /^targets\//) { sub(/^targets\//, "", o); return "target:" o }
		if (o ~ /^lib\/kit\//) return "kit"
		if (o ~ /^lib\/meta\//) return "meta"
		if (o ~ /^lib\/os\//) return "os"
		if (o ~ /^lib\/(luks|verity)\//) return "luks"
		if (o ~ /^lib\//) return "core"
		sub(/\/.*/, "", o)
		return o
	}
	function may(from, to) {		# layers
		if (from == to) return 1
		if (to == "format") return from ~ /^(target:.*|luks|client)$/
		if (from == "format") return to == "kit"	# checksums
		if (from == "target:crypt" && to == "luks") return 1
		if (from ~ /^target:/) return to ~ /^(core|kit|meta)$/
		if (from == "list") return to ~ /^target:/
		# headers of LUKS: format code that clients link, too (ndm-luks.h)
		if (from == "luks") return to ~ /^(core|kit)$/
		if (from == "client" && to == "luks") return 1
		if (from == "core" && to == "luks") return 1
		if (from ~ /^(kit|meta)$/) return to ~ /^(core|kit|meta)$/
		if (from == "core") return to == "list"
		if (from == "os") return to == "core"
		if (from ~ /^(server|plugins)$/) return to ~ /^(core|os)$/
		return 0
	}
	function bad(why) { printf "%s calls %s: %s\n", object, symbol, why }
	function external(object, symbol, from) {
		if (symbol ~ /^(event|evbuffer|evconn|evutil|evhttp|evthread|evtimer|evsignal|bufferevent)_/) {
			if (from != "server") bad("libevent is for server/ alone")
		} else if (symbol ~ /^nbd_/) {
			if (object !~ /^lib\/os\/nbd/) bad("libnbd is for lib/os/nbd*.c alone")
		} else if (symbol ~ /^(EVP|SSL|ERR|OPENSSL|BIO|X509|RAND|CRYPTO|HMAC|PKCS[0-9]*|OSSL|SHA[0-9]*|AES|CMS|PEM|d2i|i2d)_/) {
			if (object !~ /^lib\/kit\/(cipher|hash)|^server\/tls|^client\/ndm-tls/) bad("OpenSSL has its own files")
		} else if (symbol ~ /^yaml_/) {
			if (object !~ /^lib\/yaml/) bad("libyaml is for lib/yaml*.c alone")
		} else if (symbol ~ /^io_uring_/) {
			if (from != "os") bad("io_uring is for lib/os/")
		} else if (symbol ~ /^dl(open|sym)$/) {
			if (object != "lib/os/rbd-load") bad("libraries are linked; only librbd is loaded (lib/os/rbd-load.c)")
		} else if (symbol ~ /^nbdkit_/) {
			if (from != "plugins") bad("nbdkit is for plugins/")
		} else if (from ~ /^(target:.*|list|kit|meta)$/) {
			if (symbol !~ pure && !(from == "kit" && symbol ~ /^(gcry_|nettle_|argon2|LZ4_)/))
				bad("a target gets the outside through stores, clock and dice")
		} else if (from == "core" && symbol ~ outside) {
			# task stacks, and the mailbox that any thread may post to
			if (!(object ~ /^lib\/(task|fiber)$/ && symbol ~ /^(mmap|mmap64|munmap|mprotect|madvise|sysconf|getpagesize)$/) &&
			    symbol !~ /^pthread_mutex_(init|lock|unlock|destroy)$/)
				bad("the core knows no OS, only the world")
		}
	}
	BEGIN {
		# memory, text, sorting and arithmetic; what compilers and sanitizers add
		pure = "^(ndm_.*|_GLOBAL_OFFSET_TABLE_|_?_?(mem|str)[a-z0-9_]*|__errno_location|__assert_fail|abort|" \
		       "(__)?v?snprintf(_chk)?|v?sscanf|__isoc[0-9]*_.*|(b|l)search|qsort(_r)?|bsearch|" \
		       "u?l?l?div|strto[a-z]*|atoi|l?l?abs|__ctype_.*|toupper|tolower|is[a-z]+|" \
		       "__stack_chk_.*|__(a|ub|t|l)san_.*|__sanitizer_.*|__gcov.*|__gmon.*|_ITM_.*|__cxa_.*|" \
		       "__[a-z]*[sd]i[234]|__popcount.*|__sancov.*|__start_.*|__stop_.*|__cpu_.*)$"
		outside = "^(open|openat|creat|close|p?read(v2?)?(64)?|p?write(v2?)?(64)?|lseek(64)?|fopen(64)?|fclose|fread|fwrite|" \
			  "f?printf|vf?printf|__f?printf_chk|puts|putchar|perror|std(in|out|err)|ioctl|fsync|fdatasync|fallocate(64)?|" \
			  "f?truncate(64)?|unlink|rename|f?stat(64)?|mkdir|opendir|readdir|mmap(64)?|munmap|mprotect|madvise|" \
			  "socket.*|connect|bind|listen|accept4?|send.*|recv.*|epoll_.*|eventfd.*|timerfd_.*|poll|ppoll|select|" \
			  "time|times|clock.*|gettimeofday|nanosleep|usleep|sleep|localtime.*|gmtime.*|" \
			  "pthread_.*|thrd_.*|mtx_.*|cnd_.*|sem_.*|fork|exec.*|kill|signal|sigaction|getpid|" \
			  "rand.*|s?random.*|srand.*|drand48|getrandom|getentropy|arc4random.*|getenv|syscall|dlopen|dlsym)$"
	}
	NR == FNR { if ($2 == "D") home[$3] = home[$3] " " $1; next }
	$2 == "U" {
		object = $1; symbol = $3; from = layer(object)
		if (!(symbol in home)) { external(object, symbol, from); next }
		n = split(substr(home[symbol], 2), where, " ")
		# the one place that knows targets by name, through targets/all.h
		if (object == "lib/target" && symbol ~ /^ndm_target_[a-z0-9_]+$/) next
		for (i = 1; i <= n; i++) if (may(from, layer(where[i]))) break
		if (i > n) bad("it is in " where[1] ", where " from " has no business")
		else if (from ~ /^(server|plugins)$/ && layer(where[i]) != from && symbol !~ /^ndm_/)
			bad("hosts use what ndm.h names")
	}' "$1" "$1"
}

check() {	# BUILD SOURCE: prints breaches
	list_includes "$2" > "$work/includes"
	list_symbols "$1" > "$work/symbols"
	judge_includes "$work/includes"
	judge_symbols "$work/symbols"
}

# ---- self-test ------------------------------------------------------------------------------

planted=0 missed=0
plant() {	# "file: code" lines on stdin, then words that must be found in the complaint
	local words=$1 file line
	rm -rf "$work/tree"
	while IFS= read -r line; do
		file=${line%%: *}
		mkdir -p "$work/tree/${file%/*}"
		printf '%b\n' "${line#*: }" >> "$work/tree/$file"
	done
	(cd "$work/tree" && find . -name '*.c' | while read -r file; do
		${CC:-cc} -w -c -I. -I"$source/include" -o "${file%.c}.o" "$file" 2>/dev/null || :
	done)
	[[ $words = *includes* ]] ||
		[ "$(find "$work/tree" -name '*.c' | wc -l)" = "$(find "$work/tree" -name '*.o' | wc -l)" ] ||
		echo "arch.sh: a plant did not compile ($words)"
	check "$work/tree" "$work/tree" > "$work/complaints"
	planted=$((planted + 1))
	if [ "$words" = nothing ]; then
		[ -s "$work/complaints" ] || return
	elif grep -q -- "$words" "$work/complaints"; then
		return
	fi
	missed=$((missed + 1))
	echo "arch.sh: planted breach not judged as expected ($words); complaints were:"
	cat "$work/complaints"
}

self_test() {
	plant nothing <<-'END'
		targets/good.c: #include <ndm-target.h>\n#include <string.h>\nint ndm_good(char *s) { ndm_free(s); return strlen(s); }
		lib/alloc.c: void ndm_free(void *p) { free(p); }
	END
	plant 'targets/bad.c includes <unistd.h>' <<-'END'
		targets/bad.c: #include <unistd.h>\nint f;
	END
	plant 'targets/bad calls time' <<-'END'
		targets/bad.c: long time(long *); long f(void) { return time(0); }
	END
	plant 'targets/bad calls pread' <<-'END'
		targets/bad.c: long pread(); long f(void) { return pread(0, 0, 0, 0); }
	END
	plant 'targets/one calls two_map' <<-'END'
		targets/one.c: int two_map(void); int one(void) { return two_map(); }
		targets/two.c: int two_map(void) { return 0; }
	END
	plant 'targets/thin/a.c includes <targets/cache/b.h>: another target' <<-'END'
		targets/thin/a.c: #include "targets/cache/b.h"\nint f;
	END
	plant 'targets/bad calls ndm_file_open: it is in lib/os/file' <<-'END'
		targets/bad.c: int ndm_file_open(void); int f(void) { return ndm_file_open(); }
		lib/os/file.c: int ndm_file_open(void) { return 0; }
	END
	plant 'lib/bio calls clock_gettime: the core knows no OS' <<-'END'
		lib/bio.c: int clock_gettime(int, void *); int f(void) { return clock_gettime(0, 0); }
	END
	plant 'lib/kit/copy calls malloc' <<-'END'
		lib/kit/copy.c: void *malloc(unsigned long); void *f(void) { return malloc(1); }
	END
	plant 'lib/loop.c includes <event2/event.h>: libevent' <<-'END'
		lib/loop.c: #include <event2/event.h>\nint f;
	END
	plant 'lib/store calls nbd_create: libnbd' <<-'END'
		lib/store.c: void *nbd_create(void); void *f(void) { return nbd_create(); }
	END
	plant 'server/conn.c includes <lib/core.h>: hosts use ndm.h only' <<-'END'
		server/conn.c: #include "lib/core.h"\nint f;
	END
	plant 'client/ls.c includes <ndm.h>' <<-'END'
		client/ls.c: #include <ndm.h>\nint f;
	END
	plant 'server/conn calls EVP_sha256: OpenSSL' <<-'END'
		server/conn.c: void *EVP_sha256(void); void *f(void) { return EVP_sha256(); }
	END
	plant 'lib/os/file calls dlopen: libraries are linked' <<-'END'
		lib/os/file.c: void *dlopen(const char *, int); void *f(void) { return dlopen("x", 1); }
	END
	plant 'server/conn calls linear_map' <<-'END'
		server/conn.c: int linear_map(void); int f(void) { return linear_map(); }
		targets/linear.c: int linear_map(void) { return 0; }
	END
}

self_test
check "$build" "$source" > "$work/result"
objects=$(cut -f1 "$work/symbols" | sort -u | wc -l)
files=$(cut -f1 "$work/includes" | sort -u | wc -l)
breaches=$(wc -l < "$work/result")
sed 's/^/arch.sh: /' "$work/result"
echo "arch.sh: $files sources and $objects objects read, $breaches breaches; $planted plants, $missed missed"
if [ "$objects" -eq 0 ] || [ "$files" -eq 0 ]; then
	echo "arch.sh: nothing to read in $build and $source"
	exit 1
fi
[ "$breaches" -eq 0 ] && [ "$missed" -eq 0 ]
