# What the three walks share. Each begins in an empty folder, with s2ct, python and the bundled archives at hand.
# No network is needed; the test that runs a walk takes the network away where the system lets it.
set -euo pipefail

# expect CODE WORDS COMMAND...: the command ends with this exit code, and says these words on stdout or stderr.
expect() {
  local code=$1 words=$2 found=0
  shift 2
  echo "\$ $*"
  "$@" > said 2>&1 || found=$?
  cat said
  [ "$found" -eq "$code" ] || { echo "WALK: exit code $found, not $code"; exit 1; }
  grep -qF -- "$words" said || { echo "WALK: it does not say: $words"; exit 1; }
  ! grep -q "Traceback" said || { echo "WALK: a traceback"; exit 1; }
}

# signalled SIGNAL WORDS COMMAND...: the command gets the signal as soon as it says these words. Its exit code is in $code.
signalled() {
  local signal=$1 words=$2 line pid
  shift 2
  echo "\$ $*    # then $signal"
  rm -f said live
  mkfifo live
  set -m # a process group of its own, as in a terminal
  "$@" > live 2>&1 &
  pid=$!
  set +m
  while IFS= read -r line; do
    echo "$line"
    case $line in *"$words"*) kill -s "$signal" -- "-$pid" ;; esac
  done < live
  code=0
  wait "$pid" || code=$?
}

sources() { python -c "import s2ct_convert; print(*s2ct_convert.sample_sources())"; }

digest() { s2ct info "$1" --json | python -c "import json, sys; print(json.load(sys.stdin)['digest'])"; }

same() { [ "$1" = "$2" ] || { echo "WALK: $1 is not $2"; exit 1; }; }
