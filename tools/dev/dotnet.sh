# The .NET SDK, builds, lint and tests.
# shellcheck shell=bash

ensure_dotnet() {
  export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
  has_sdk && return
  if [ -x "$HOME/.dotnet/dotnet" ]; then
    export PATH="$HOME/.dotnet:$PATH"
    has_sdk && return
  fi
  apt_has dotnet-sdk-10.0 && apt_install dotnet-sdk-10.0
  has_sdk || die "The .NET SDK 10 is needed. How to install it: https://learn.microsoft.com/dotnet/core/install/linux"
}

has_sdk() { have dotnet && dotnet --list-sdks 2>/dev/null | grep -q '^10\.'; }

# build PROJECT: quiet when it succeeds. Optimized for tests, too, which train classifiers and would spend most of their time on it otherwise.
build() {
  local name
  name=$(basename "${1%.*}")
  say "Building $name"
  dotnet build "$1" -c Release -v quiet -nologo -tl:off >"$LOCAL/build-$name.log" 2>&1 || {
    sort -u "$LOCAL/build-$name.log" | grep -E 'error|warning' >&2 || cat "$LOCAL/build-$name.log" >&2
    return 1
  }
}

# publish PROJECT: into .local/bin/NAME, compiled ahead of time where the registry has the compiler for it, so that a host that has just
# started is as fast as it will be.
publish() {
  local name log
  name=$(basename "${1%.*}")
  log="$LOCAL/build-$name.log"
  say "Building $name"
  publish_release "$1" "$LOCAL/bin/$name" -p:PublishReadyToRun=true >"$log" 2>&1 ||
    publish_release "$1" "$LOCAL/bin/$name" >"$log" 2>&1 || {
    sort -u "$log" | grep -E 'error|warning' >&2 || cat "$log" >&2
    return 1
  }
}

publish_release() {
  local project=$1 out=$2
  shift 2
  dotnet publish "$project" -c Release --use-current-runtime --self-contained false -o "$out" -v quiet -nologo -tl:off "$@"
}

lint() {
  local failed=0 long
  say "Linting"
  dotnet format whitespace AgentPlatform.sln --no-restore --verify-no-changes || failed=1
  if have shellcheck; then
    shellcheck -x dev .ci/run tools/dev/*.sh infra/hooks/*.sh .github/*.sh || failed=1
  else
    say "shellcheck is not installed: shell scripts were not checked"
  fi
  long=$(git ls-files -co --exclude-standard -- '*.cs' '*.sql' '*.razor' '*.sh' '*.mjs' '*.css' '*.js' dev |
    while read -r file; do [ ! -f "$file" ] || awk -v f="$file" 'END { if (NR > 500) print f ": " NR " lines" }' "$file"; done)
  if [ -n "$long" ]; then
    printf 'Longer than 500 lines:\n%s\n' "$long" >&2
    failed=1
  fi
  return "$failed"
}

# run_tests [dotnet test arguments]: prints `N passed, N failed` and fails on a crash, a failure, or no test at all.
run_tests() {
  local results="$LOCAL/test-results" code=0 passed failed
  rm -rf "$results"
  # Thousands of methods are compiled while the tests run: with memory that is never writable and executable at once, each takes longer.
  export DOTNET_EnableWriteXorExecute=0
  dotnet test tests/AgentPlatform.Tests -c Release --no-build -nologo --results-directory "$results" --logger "trx;LogFileName=tests.trx" \
    --logger 'console;verbosity=minimal' --blame-hang-timeout 5m --blame-hang-dump-type none "$@" || code=$?
  passed=$(counter passed "$results/tests.trx")
  failed=$(counter failed "$results/tests.trx")
  if [ "$failed" = 0 ] && { [ "$code" != 0 ] || [ "$passed" = 0 ]; }; then
    say "The test run did not complete (exit code $code)"
    failed=1
  fi
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}

counter() {
  local value
  value=$(grep -oE "<Counters [^>]*" "$2" 2>/dev/null | grep -oE " $1=\"[0-9]+" | grep -oE '[0-9]+$') || true
  echo "${value:-0}"
}
