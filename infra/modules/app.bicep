// The app: Flex Consumption, .NET isolated worker. Settings name services; identities open them.
param suffix string
param location string
param tags object
param identityId string
param identityClientId string
param identityName string
param storageAccountName string
param deploymentContainerUrl string
param vaultUri string
param postgresHost string
param postgresPort int
param postgresPooler string
param postgresDatabase string
param postgresPoolSize int
param insightsConnectionString string
param maximumInstances int
param instanceMemoryMb int
param appSubnetId string
param publicBaseUrl string
param emailSmtp string
param appSettings string
param schedulerEndpoint string
param schedulerHub string
param workspaceId string

var name = 'func-${suffix}'

// What host.json leaves to its default, the storage account, is overridden where there is a scheduler.
var schedulerSettings = schedulerEndpoint == '' ? {} : {
  AzureFunctionsJobHost__extensions__durableTask__hubName: schedulerHub
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${identityClientId};TaskHub=${schedulerHub}'
}

// Given with the template and not by hand: settings are written anew, all of them, whenever it is applied.
var furtherSettings = toObject(
  filter(split(appSettings, ';'), entry => contains(entry, '=')),
  entry => trim(substring(entry, 0, indexOf(entry, '='))),
  entry => substring(entry, indexOf(entry, '=') + 1)
)

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: appSubnetId == '' ? null : appSubnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstances
        instanceMemoryMB: instanceMemoryMb
      }
      runtime: {
        name: 'dotnet-isolated'
        version: '10.0'
      }
    }
    siteConfig: { minTlsVersion: '1.2' }
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: union({
      AzureWebJobsStorage__accountName: storageAccountName
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AZURE_CLIENT_ID: identityClientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      ConnectionStrings__AgentPlatform: 'Host=${postgresHost};Port=${postgresPort};Database=${postgresDatabase};Username=${identityName};SSL Mode=VerifyFull;Maximum Pool Size=${postgresPoolSize}'
      Postgres__Login: 'entra'
      Postgres__Pooler: postgresPooler
      PublicBaseUrl: publicBaseUrl == '' ? 'https://${app.properties.defaultHostName}' : publicBaseUrl
      Channels__EncryptionKeys__0: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/channels-encryption-key)'
      Channels__Email__Smtp: emailSmtp
    }, schedulerSettings, furtherSettings)
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FunctionAppLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
