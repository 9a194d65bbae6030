#!/bin/sh
# Migrates the database with the identity of whoever deploys, before the new code starts, and lets the app's identity in.
# Opens the server's firewall for this machine meanwhile, where there is a firewall.
set -eu

server=${POSTGRES_HOST%%.*}
opened=
close() {
  [ -z "$opened" ] || az postgres flexible-server firewall-rule delete --resource-group "$AZURE_RESOURCE_GROUP" --name "$server" --rule-name "$opened" --yes --output none
}
trap close EXIT

if address=$(curl -fsS --max-time 10 https://api.ipify.org 2>/dev/null); then
  rule="migrate-$(date +%s)"
  if az postgres flexible-server firewall-rule create --resource-group "$AZURE_RESOURCE_GROUP" --name "$server" --rule-name "$rule" \
    --start-ip-address "$address" --end-ip-address "$address" --output none 2>/dev/null; then
    opened=$rule
  fi
fi

# The flavour of this hook's build is the local one: the command line is the same in both.
unset AzureFunctions
ConnectionStrings__AgentPlatform="Host=$POSTGRES_HOST;Port=5432;Database=$POSTGRES_DATABASE;Username=$POSTGRES_ADMIN_NAME;SSL Mode=VerifyFull" \
  Postgres__Login=entra \
  dotnet run --project src/AgentPlatform.Cli -c Release -- migrate --app-login "$APP_IDENTITY_NAME" --entra
