# SPDX-License-Identifier: BSD-2-Clause
# bash completion of ndmsetup, dmstats' command line in it, and ndm.  Names of devices, targets
# and exports are those of the ndmd that answers just now; --control on the line is heeded.

_ndm_ask() {
	local i control=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--control) control=(--control "${COMP_WORDS[i + 1]}") ;;
		esac
	done
	ndmsetup "${control[@]}" "$@" 2>/dev/null
}

# Candidates, one a line on standard input, that begin with the word; blanks are quoted.
_ndm_offer() {
	local word=$1 line quoted
	while IFS= read -r line; do
		if [[ -n $line && $line == "$word"* ]]; then
			printf -v quoted %q "$line"
			COMPREPLY+=("$quoted")
		fi
	done
}

_ndm_devices() {
	_ndm_ask ls | sed -n 's/\t(.*$//p'
}

_ndm_targets() {
	_ndm_ask targets | sed -n 's/ .*//p'
}

_ndm_lines() {
	printf '%s\n' "$@"
}

_ndm_fields=(
	name mangled_name unmangled_name uuid mangled_uuid unmangled_uuid read_ahead blkdevname
	attr tables_loaded suspended readonly devno major minor open segments events
	device_count devs_used devnos_used blkdevs_used device_ref_count names_using_dev
	devnos_using_dev subsystem vg_name lv_name lv_layer
)

_ndm_setup_commands=(
	clear create deps help info load ls mangle measure message mknodes reload remove
	remove_all rename resume setgeometry splitname stats status suspend table
	target-version targets udevcomplete udevcomplete_all udevcookies udevcreatecookie
	udevflags udevreleasecookie version wait wipe_table
)

_ndm_stats_commands=(
	clear create delete group help list print report ungroup update_filemap version
)

_ndm_options=(
	--addnodeoncreate --addnodeonresume --checks --columns --concise --control --deferred
	--exec --explain --force --gid --help --inactive --major --manglename --minor --mode
	--nameprefixes --noflush --noheadings --nolockfs --noopencount --notable --options
	--readahead --readonly --reportformat --retry --rows --select --separator --setuuid
	--showkeys --sort --table --target --tree --uid --unquoted --uuid --verbose --version
	--yes
)

_ndm_stats_options=(
	--alias --alldevices --allprograms --allregions --area --areas --areasize --bounds
	--clear --count --group --groupid --histogram --interval --length --nogroup --precise
	--programid --raw --region --regionid --regions --relative --segments --start --units
	--userdata
)

# The value of an option; false if the word before is none that takes one we know.
_ndm_option_value() {
	local before=$1 word=$2
	case $before in
	--control) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--manglename) _ndm_offer "$word" < <(_ndm_lines auto hex none) ;;
	--readahead) _ndm_offer "$word" < <(_ndm_lines auto none) ;;
	--reportformat) _ndm_offer "$word" < <(_ndm_lines basic json) ;;
	--target) _ndm_offer "$word" < <(_ndm_targets) ;;
	-u | --uuid) _ndm_offer "$word" < <(_ndm_ask info -c --noheadings -o uuid) ;;
	-O | --sort) _ndm_offer "$word" < <(_ndm_lines "${_ndm_fields[@]}" "${_ndm_fields[@]/#/-}") ;;
	-o | --options)
		local done=
		[[ $word != *,* ]] || done=${word%,*},
		_ndm_offer "$word" < <(_ndm_lines "${_ndm_fields[@]/#/$done}")
		compopt -o nospace 2>/dev/null
		;;
	--table | --separator | --select | -S | --exec | --areas | --areasize | --bounds | \
		--count | --interval | --length | --start | --regionid | --groupid | --regions | \
		--programid | --userdata | --alias | --units | -j | --major | -m | --minor | -U | \
		--uid | -G | --gid | -M | --mode) ;;
	*) return 1 ;;
	esac
}

# What the command's next argument may be.
_ndm_argument() {
	local command=$1 nth=$2 word=$3
	case $command in
	create)
		((nth != 2)) || mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	load | reload)
		if ((nth == 1)); then
			_ndm_offer "$word" < <(_ndm_devices)
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		;;
	message | rename | wait | setgeometry | splitname)
		((nth != 1)) || _ndm_offer "$word" < <(_ndm_devices)
		;;
	target-version) _ndm_offer "$word" < <(_ndm_targets) ;;
	help | ls | remove_all | targets | version | udev*) ;;
	*) _ndm_offer "$word" < <(_ndm_devices) ;;
	esac
}

# first: where the command's name is looked for
_ndm_complete_setup() {
	local first=$1 word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command= sub= nth=0 i w
	for ((i = first; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case $w in
		--control | --manglename | --readahead | --reportformat | --target | --uuid | -u | \
			-O | --sort | -o | --options | --table | --separator | --select | -S | \
			--exec | -j | -m | --major | --minor)
			((i++))
			;;
		-*) ;;
		*)
			if [[ -z $command ]]; then
				command=$w
			elif [[ $command == stats && -z $sub ]]; then
				sub=$w
			else
				((nth++))
			fi
			;;
		esac
	done
	_ndm_option_value "$before" "$word" && return
	if [[ $word == -* ]]; then
		_ndm_offer "$word" < <(_ndm_lines "${_ndm_options[@]}")
		[[ $command != stats ]] ||
			_ndm_offer "$word" < <(_ndm_lines "${_ndm_stats_options[@]}")
	elif [[ -z $command ]]; then
		_ndm_offer "$word" < <(_ndm_lines "${_ndm_setup_commands[@]}")
	elif [[ $command == stats && -z $sub ]]; then
		_ndm_offer "$word" < <(_ndm_lines "${_ndm_stats_commands[@]}")
	else
		_ndm_argument "$command" $((nth + 1)) "$word"
	fi
}

_ndmsetup() {
	COMPREPLY=()
	_ndm_complete_setup 1
}

_ndm() {
	local word=${COMP_WORDS[COMP_CWORD]} first=1
	COMPREPLY=()
	while [[ ${COMP_WORDS[first]} == --control && $first -lt $COMP_CWORD ]]; do
		((first += 2))
	done
	if ((COMP_CWORD <= first)); then
		_ndm_offer "$word" < <(ndm help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
		return
	fi
	case ${COMP_WORDS[first]} in
	dmsetup) _ndm_complete_setup $((first + 1)) ;;
	plan | apply) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	export)
		if [[ $word == -* ]]; then
			_ndm_offer "$word" < <(_ndm_lines --uri --qemu --libvirt-xml --json)
		else
			_ndm_offer "$word" < <(ndm export 2>/dev/null | sed 's/ .*//')
		fi
		;;
	explain | holders) _ndm_offer "$word" < <(_ndm_devices) ;;
	describe) _ndm_offer "$word" < <(_ndm_targets) ;;
	tree) _ndm_offer "$word" < <(_ndm_lines --ascii --dot --mermaid --json) ;;
	monitor) _ndm_offer "$word" < <(_ndm_lines --json) ;;
	esac
}

complete -F _ndmsetup ndmsetup
complete -F _ndm ndm
