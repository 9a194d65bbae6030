// Durable Task Scheduler: keeps orchestrations in place of the app's storage account. Reached with the app's identity only.
param suffix string
param location string
param tags object
param appPrincipalId string
param workspaceId string

param endpointSubnetId string
param virtualNetworkId string

@allowed(['Consumption', 'Dedicated'])
param sku string

var private = endpointSubnetId != ''
var durableTaskDataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402'

resource scheduler 'Microsoft.DurableTask/schedulers@2026-02-01' = {
  name: 'dts-${suffix}'
  location: location
  tags: tags
  properties: {
    // An empty list lets nobody in; who comes in still needs the role below.
    ipAllowlist: private ? [] : ['0.0.0.0/0']
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
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

module endpoint 'endpoint.bicep' = if (private) {
  name: 'endpoint-scheduler'
  params: {
    name: 'pe-scheduler-${suffix}'
    location: location
    tags: tags
    serviceId: scheduler.id
    part: 'scheduler'
    zoneName: 'privatelink.durabletask.io'
    subnetId: endpointSubnetId
    virtualNetworkId: virtualNetworkId
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
