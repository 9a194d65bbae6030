#!/usr/bin/env bash
# The Azure flavour on the real Functions host: Core Tools, Azurite and a private Postgres. A signed text must be answered.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

./dev db start
url=$(./dev db url)
export ConnectionStrings__AgentPlatform=$url PublicBaseUrl=http://localhost:7071 Actions__AllowPrivateTargets=true
dotnet run --project src/AgentPlatform.Cli -c Release -- seed --base-url "$PublicBaseUrl" --out .local/demo.json

azurite --silent --location "$work" &
export AzureWebJobsStorage=UseDevelopmentStorage=true FUNCTIONS_WORKER_RUNTIME=dotnet-isolated AZURE_FUNCTIONS_ENVIRONMENT=Development
dotnet publish src/AgentPlatform.Functions -c Release -p:AzureFunctions=true -o "$work/app"
(cd "$work/app" && exec func start --port 7071 --no-build) &

for _ in $(seq 60); do
  curl -fsS "$PublicBaseUrl/health/ready" && break
  sleep 2
done
curl -fsS "$PublicBaseUrl/health/ready"
dotnet run --project src/AgentPlatform.Cli -c Release -- text "+14155550100" "find me software engineer jobs in Berlin" | tee "$work/answer"
grep -qi engineer "$work/answer"
