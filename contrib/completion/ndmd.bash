# SPDX-License-Identifier: BSD-2-Clause
# bash completion of ndmd

_ndmd_options=(
	--allow-core --check --config --control --create --daemon --direct --exit-last --explain --foreground
	--handshake-timeout --help --idle-timeout --listen --max-connections --metrics
	--no-control --pidfile --read-only --run --schema --state --stdio
	--takeover --tcp --threads --tls
	--tls-certificates --tls-psk --tls-verify-peer --unix --verbose --version
)

_ndmd() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	case $before in
	--tls) mapfile -t COMPREPLY < <(compgen -W 'off on require' -- "$word") ;;
	--tls-certificates | --state) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
	--listen | --metrics) mapfile -t COMPREPLY < <(compgen -W 'unix: tcp:' -- "$word") ;;
	--run) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
	--create | --handshake-timeout | --idle-timeout | --max-connections | --tcp | --threads)
		COMPREPLY=() ;;
	*)
		if [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "${_ndmd_options[*]}" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		;;
	esac
}

complete -F _ndmd ndmd
