#!/bin/sh
# Makes the key that seals channel credentials, once. It is never printed and never replaced: what it sealed could not be opened again.
set -eu

if az keyvault secret show --vault-name "$AZURE_KEY_VAULT_NAME" --name channels-encryption-key --query id -o tsv >/dev/null 2>&1; then
  exit 0
fi

# The right to write secrets was granted a moment ago, and takes a while to be known everywhere.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
head -c 32 /dev/urandom | base64 | tr -d '\n' >"$file"
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  if az keyvault secret set --vault-name "$AZURE_KEY_VAULT_NAME" --name channels-encryption-key --file "$file" --encoding utf-8 --output none 2>/dev/null; then
    echo "The key for channel credentials is in $AZURE_KEY_VAULT_NAME."
    exit 0
  fi
  echo "Key Vault does not know the new permission yet (attempt $attempt) …"
  sleep 15
done
echo "The key could not be stored: az keyvault secret set was refused. Is the vault reachable from here?" >&2
exit 1
