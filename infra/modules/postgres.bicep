// Postgres, with Entra logins only. Whoever deploys is its administrator and owns the schema; the app's identity gets a login of its
// own from the migration hook, member of the two roles that row level security knows.
param suffix string
param location string
param tags object
param sku string
param tier string
param storageGb int
param highAvailability bool
param administratorId string
param administratorName string
param administratorType string
param delegatedSubnetId string
param virtualNetworkId string
param workspaceId string

var private = delegatedSubnetId != ''
var pooled = tier != 'Burstable'

resource zone 'Microsoft.Network/privateDnsZones@2020-06-01' = if (private) {
  name: 'agentplatform-${suffix}.private.postgres.database.azure.com'
  location: 'global'
  tags: tags

  resource link 'virtualNetworkLinks' = {
    name: 'network'
    location: 'global'
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: virtualNetworkId }
    }
  }
}

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: 'psql-${suffix}'
  location: location
  tags: tags
  sku: {
    name: sku
    tier: tier
  }
  properties: {
    version: '16'
    authConfig: {
      activeDirectoryAuth: 'Enabled'
      passwordAuth: 'Disabled'
      tenantId: subscription().tenantId
    }
    storage: {
      storageSizeGB: storageGb
      autoGrow: 'Enabled'
    }
    backup: {
      backupRetentionDays: 14
      geoRedundantBackup: 'Disabled'
    }
    highAvailability: { mode: highAvailability ? 'ZoneRedundant' : 'Disabled' }
    network: private
      ? {
          delegatedSubnetResourceId: delegatedSubnetId
          privateDnsZoneArmResourceId: zone.id
        }
      : { publicNetworkAccess: 'Enabled' }
  }
  dependsOn: [zone::link]

  resource database 'databases' = {
    name: 'agentplatform'
    properties: {
      charset: 'UTF8'
      collation: 'C.utf8'
    }
  }

  // Settings of one server are changed one after the other.
  resource extensions 'configurations' = {
    name: 'azure.extensions'
    properties: {
      source: 'user-override'
      value: 'VECTOR,PGCRYPTO'
    }
    dependsOn: [database]
  }

  resource pooler 'configurations' = if (pooled) {
    name: 'pgbouncer.enabled'
    properties: {
      source: 'user-override'
      value: 'true'
    }
    dependsOn: [extensions]
  }

  resource administrator 'administrators' = {
    name: administratorId
    properties: {
      principalName: administratorName
      principalType: administratorType
      tenantId: subscription().tenantId
    }
    dependsOn: [extensions, pooler]
  }

  // Flex Consumption has no fixed addresses; who may log in is decided by Entra. Private networking closes this door.
  resource azureServices 'firewallRules' = if (!private) {
    name: 'azure-services'
    properties: {
      startIpAddress: '0.0.0.0'
      endIpAddress: '0.0.0.0'
    }
    dependsOn: [administrator]
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: server
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
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

output id string = server.id
output host string = server.properties.fullyQualifiedDomainName
output port int = pooled ? 6432 : 5432
output pooler string = pooled ? 'transaction' : 'none'
output database string = server::database.name
