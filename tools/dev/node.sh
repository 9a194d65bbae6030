# What only the tests and benches need: Node with the official clients of foreign services (tests/witnesses) and the peers of the
# benches (bench/peers), and Chromium.
# shellcheck shell=bash

ensure_node() {
  has_node && have npm && return
  apt_install nodejs npm
  has_node || die "Node 20 or newer is needed; this system's package is older: $(node --version)"
}

has_node() { have node && [ "$(node --version | grep -oE '[0-9]+' | head -1)" -ge 20 ]; }

ensure_witnesses() { ensure_packages tests/witnesses "the test witnesses"; }

# ensure_packages DIRECTORY WHAT: what its package-lock.json pins, once.
ensure_packages() {
  local dir="$ROOT/$1" wanted
  ensure_node
  wanted=$(cksum <"$dir/package-lock.json")
  [ "$(cat "$dir/node_modules/.installed" 2>/dev/null || true)" = "$wanted" ] && return
  say "Installing $2"
  (cd "$dir" && npm ci --ignore-scripts) >"$LOCAL/npm.log" 2>&1 || die "npm ci failed; see $LOCAL/npm.log"
  echo "$wanted" >"$dir/node_modules/.installed"
}

ensure_chromium() {
  find_chromium || {
    apt_install chromium
    find_chromium || die "The tests need Chromium; installing the package 'chromium' did not bring it"
  }
  export AGENTPLATFORM_CHROMIUM
}

find_chromium() {
  AGENTPLATFORM_CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || return 1
}

run_azurite() {
  local blob queue table
  ensure_witnesses
  blob=$(free_port 10000)
  queue=$(free_port $((blob + 1)))
  table=$(free_port $((queue + 1)))
  # The account and key are the public ones that every Azure Storage emulator uses.
  cat <<TEXT
AzureWebJobsStorage=DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:$blob/devstoreaccount1;QueueEndpoint=http://127.0.0.1:$queue/devstoreaccount1;TableEndpoint=http://127.0.0.1:$table/devstoreaccount1
TEXT
  exec node "$ROOT/tests/witnesses/node_modules/.bin/azurite" --silent --skipApiVersionCheck --disableTelemetry --location "$LOCAL/azurite" \
    --blobPort "$blob" --queuePort "$queue" --tablePort "$table"
}
