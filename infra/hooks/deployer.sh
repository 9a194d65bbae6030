#!/bin/sh
# Finds out under which name Entra knows whoever deploys: Postgres wants it for its administrator.
set -eu

if [ "${AzureFunctions:-}" != true ]; then
  echo "Set AzureFunctions=true, or azd would deploy the local flavour: AzureFunctions=true azd up" >&2
  exit 1
fi
[ -z "${AZURE_PRINCIPAL_NAME:-}" ] || exit 0

if name=$(az ad signed-in-user show --query userPrincipalName -o tsv 2>/dev/null) && [ -n "$name" ]; then
  azd env set AZURE_PRINCIPAL_NAME "$name"
  azd env set AZURE_PRINCIPAL_TYPE User
else
  client=$(az account show --query user.name -o tsv)
  azd env set AZURE_PRINCIPAL_NAME "$(az ad sp show --id "$client" --query displayName -o tsv)"
  azd env set AZURE_PRINCIPAL_TYPE ServicePrincipal
fi
