// Everything that AgentPlatform needs on Azure, in one resource group. No keys and no passwords: every connection is made with
// the app's managed identity; the one secret (the key that seals channel credentials) is made by a hook and stays in Key Vault.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment; part of every resource name.')
param environmentName string

@description('Region. It must offer Flex Consumption.')
param location string

@description('Object id of whoever deploys: administrator of Postgres and of the secrets.')
param principalId string

@description('Name of whoever deploys, as Entra shows it: the Postgres login that migrates.')
param principalName string

@allowed(['User', 'ServicePrincipal', 'Group'])
param principalType string = 'User'

@description('Postgres, storage, Key Vault and the scheduler are reached over private endpoints only. Deploy from a machine inside the network then.')
param privateNetworking bool = false

@description('Size of Postgres. General purpose sizes also get the built-in PgBouncer.')
param postgresSku string = 'Standard_B2s'

@allowed(['Burstable', 'GeneralPurpose', 'MemoryOptimized'])
param postgresTier string = 'Burstable'

@minValue(32)
param postgresStorageGb int = 32

@description('A standby in another zone; not with burstable sizes.')
param postgresHighAvailability bool = false

@minValue(40)
@maxValue(1000)
@description('Instances the app may grow to. Each opens up to postgresPoolSize connections.')
param maximumInstances int = 40

@allowed([512, 2048, 4096])
param instanceMemoryMb int = 2048

@minValue(2)
param postgresPoolSize int = 8

@allowed(['None', 'Consumption', 'Dedicated'])
@description('Where orchestrations are kept: None in the storage account, else in a Durable Task Scheduler of that size. Build the app with DurableTaskScheduler=true then.')
param durableTaskScheduler string = 'None'

@description('Who is told of alerts; empty: alerts show in the portal only.')
param alertEmail string = ''

@description('Public address of the app when it has a name of its own; empty: the address Azure gives it.')
param publicBaseUrl string = ''

@description('Server that takes outgoing e-mail, host:port; empty: no e-mail is sent.')
param emailSmtp string = ''

@description('Further settings of the app as NAME=VALUE, separated by semicolons; secrets as Key Vault references. They take precedence over those of the template.')
param appSettings string = ''

@description('Entra group that administers Postgres in place of whoever deploys first, so that its members can all migrate. Its object id; empty: the deployer.')
param postgresAdminGroupId string = ''

@description('The name of that group.')
param postgresAdminGroupName string = ''

var tags = { 'azd-env-name': environmentName }
var suffix = toLower(uniqueString(subscription().id, environmentName, location))

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${environmentName}-${suffix}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    endpointSubnetId: privateNetworking ? network!.outputs.endpointSubnetId : ''
    virtualNetworkId: privateNetworking ? network!.outputs.virtualNetworkId : ''
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    endpointSubnetId: privateNetworking ? network!.outputs.endpointSubnetId : ''
    virtualNetworkId: privateNetworking ? network!.outputs.virtualNetworkId : ''
    workspaceId: monitoring.outputs.workspaceId
  }
}

module postgres 'modules/postgres.bicep' = {
  name: 'postgres'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    sku: postgresSku
    tier: postgresTier
    storageGb: postgresStorageGb
    highAvailability: postgresHighAvailability
    administratorId: postgresAdminGroupId == '' ? principalId : postgresAdminGroupId
    administratorName: postgresAdminGroupId == '' ? principalName : postgresAdminGroupName
    administratorType: postgresAdminGroupId == '' ? principalType : 'Group'
    delegatedSubnetId: privateNetworking ? network!.outputs.postgresSubnetId : ''
    virtualNetworkId: privateNetworking ? network!.outputs.virtualNetworkId : ''
    workspaceId: monitoring.outputs.workspaceId
  }
}

module scheduler 'modules/scheduler.bicep' = if (durableTaskScheduler != 'None') {
  name: 'scheduler'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    endpointSubnetId: privateNetworking ? network!.outputs.endpointSubnetId : ''
    virtualNetworkId: privateNetworking ? network!.outputs.virtualNetworkId : ''
    sku: durableTaskScheduler == 'None' ? 'Consumption' : durableTaskScheduler
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    identityName: identity.outputs.name
    storageAccountName: storage.outputs.accountName
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    vaultUri: vault.outputs.uri
    postgresHost: postgres.outputs.host
    postgresPort: postgres.outputs.port
    postgresPooler: postgres.outputs.pooler
    postgresDatabase: postgres.outputs.database
    postgresPoolSize: postgresPoolSize
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    maximumInstances: maximumInstances
    instanceMemoryMb: instanceMemoryMb
    appSubnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    publicBaseUrl: publicBaseUrl
    emailSmtp: emailSmtp
    appSettings: appSettings
    schedulerEndpoint: durableTaskScheduler == 'None' ? '' : scheduler!.outputs.endpoint
    schedulerHub: durableTaskScheduler == 'None' ? '' : scheduler!.outputs.hub
    workspaceId: monitoring.outputs.workspaceId
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    email: alertEmail
    insightsId: monitoring.outputs.insightsId
    postgresId: postgres.outputs.id
  }
}

// Read by the hooks and printed by azd.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output POSTGRES_HOST string = postgres.outputs.host
output POSTGRES_DATABASE string = postgres.outputs.database
output POSTGRES_ADMIN_NAME string = postgresAdminGroupId == '' ? principalName : postgresAdminGroupName
output APP_IDENTITY_NAME string = identity.outputs.name
output APP_NAME string = app.outputs.name
output APP_URL string = app.outputs.url
