// Durable Task Scheduler: keeps orchestrations in place of the app's storage account. Reached with the app's identity only.
param suffix string
param location string
param tags object
param appPrincipalId string
param workspaceId string

@allowed(['Consumption', 'Dedicated'])
param sku string

var durableTaskDataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402'

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: 'dts-${suffix}'
  location: location
  tags: tags
  properties: {
    // An empty list lets nobody in; who comes in still needs the role below.
    ipAllowlist: ['0.0.0.0/0']
    sku: { name: sku }
  }

  resource hub 'taskHubs' = {
    name: 'agentplatform'
  }
}

resource appRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(scheduler.id, appPrincipalId, durableTaskDataContributor)
  scope: scheduler
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', durableTaskDataContributor)
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: scheduler
  properties: {
    workspaceId: workspaceId
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output endpoint string = scheduler.properties.endpoint
output hub string = scheduler::hub.name
