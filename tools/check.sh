#!/usr/bin/env bash
# What a compiler does not see: formatting, layering, and what GCC 12 gets wrong without a word. Prints one line a check
# and ends with "N checks passed, N failed". Needs clang-format and Bazel.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

passed=0
failed=0
# check NAME OUTPUT: passes if there is no output.
check() {
  if [[ -z $2 ]]; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "$1"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n%s\n' "$1" "$(head -n 20 <<< "$2" | sed 's/^/          /')"
  fi
}

sources=$(git ls-files '*.cc' '*.h')
# forbidden FROM TO: how something of FROM depends on something of TO; empty if nothing does.
forbidden() { bazel query --noshow_progress --keep_going "somepath($1, $2)" 2> /dev/null; }
# grep over our sources; finding nothing is no error.
find_in() { grep -nE "$@" || true; }

check 'formatted (clang-format -i)' "$(xargs clang-format --dry-run --Werror <<< "$sources" 2>&1 | grep -E 'error:' | cut -d: -f1 | sort -u)"

providers=(deepseek kimi metaso doubao qwen zhipu minimax)
all_providers=$(printf '//services/%s/... + ' "${providers[@]}")
all_providers="(${all_providers% + })"
# What both a platform and its refresher read, pure: the login that is pasted, and the calls that carry its signature.
shared_logins='//services/minimax:calls - //services/session/refreshers:qwen_cookie'
check 'the edge knows no platform' "$(forbidden //edge/... "$all_providers")"
check 'the edge reaches session and signing through providers alone' "$(forbidden //edge/... '(//services/session/... + //services/signing/...)')"
for provider in "${providers[@]}"; do
  check "$provider knows no other platform" "$(forbidden "//services/$provider/..." "($all_providers - //services/$provider/...)")"
  check "$provider comes to session and signing by their clients" \
    "$(forbidden "//services/$provider/..." '((//services/session/... + //services/signing/...) - //services/session/client/... - //services/signing/client/... - '"$shared_logins)")"
done
check 'the common libraries stand on no service' \
  "$(forbidden //services/common/... "($all_providers + (//services/session/... + //services/signing/...) - //services/session/client/... - //services/signing/client/...)")"
check 'session and signing know no provider' "$(forbidden '(//services/session/... + //services/signing/...)' "($all_providers - $shared_logins)")"
check 'no program stands on a test' "$(forbidden '(//edge/... + //services/... + //deploy/...)' //tests/...)"
check 'the simulator shares no code of a platform' "$(forbidden //tests/simulator/... "($all_providers + //services/signing/... + //services/session/...)")"

check 'Beast stays in services/common/http' "$(find_in -l 'boost/beast' $sources | grep -v '^services/common/http/.*\.cc$')"
# GCC 12 evaluates both sides of a conditional that awaits, and destroys temporaries of an awaiting statement twice.
check 'no co_await within a conditional expression' "$(find_in '\?[^;"]*co_await' $sources)"
check 'no co_await beside a brace-made temporary' "$(find_in 'co_await [A-Za-z_:.>()-]*\([^;]*[A-Za-z>] ?\{[^;]*\}' $sources | grep -vE '\[(this|&[a-z_]*|self)?\]')"
check 'no absl::Now() where a clock is injected' "$(find_in 'absl::Now\(\)' $(git ls-files 'services/common/provider/*.cc' 'services/session/*.cc' 'services/signing/*.cc' 'services/*/*.cc' 'edge/*.cc' | grep -vE '/client/|^services/common/(http|log|time)/'))"
check 'nothing that sleeps in a test' "$(find_in 'sleep_for|SleepFor|usleep\(' $(git ls-files 'tests/**/*.cc' 'tests/**/*.h' | grep -v tests/support/process.cc))"

printf '%d checks passed, %d failed\n' "$passed" "$failed"
((failed == 0))
