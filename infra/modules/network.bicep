// The network of a private deployment: one subnet for the app's way out, one for Postgres, one for private endpoints.
param suffix string
param location string
param tags object

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${suffix}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.40.0.0/16'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.40.0.0/24'
          delegations: [
            {
              name: 'app'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'postgres'
        properties: {
          addressPrefix: '10.40.1.0/24'
          delegations: [
            {
              name: 'postgres'
              properties: { serviceName: 'Microsoft.DBforPostgreSQL/flexibleServers' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: '10.40.2.0/24' }
      }
    ]
  }
}

output virtualNetworkId string = network.id
output appSubnetId string = '${network.id}/subnets/app'
output postgresSubnetId string = '${network.id}/subnets/postgres'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
