// What wakes somebody: work that waits, work that died, requests that fail, a database that is filling up. docs/operations.md says
// what to do about each.
param suffix string
param location string
param tags object
param email string
param insightsId string
param postgresId string

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (email != '') {
  name: 'ag-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'agents'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

var told = email == '' ? [] : [people.id]

var queries = [
  {
    name: 'queue-age'
    severity: 1
    description: 'Due work has waited for more than five minutes.'
    query: 'customMetrics | where name == "work.oldest_age" | summarize value = max(valueMax) by bin(timestamp, 5m)'
    threshold: 300
  }
  {
    name: 'old-snapshot'
    severity: 2
    description: 'An old snapshot keeps vacuum from the queue, and dead rows pile up.'
    query: 'customMetrics | where name == "work.vacuum_state" | summarize value = max(valueMax) by bin(timestamp, 5m)'
    threshold: 0
  }
  {
    name: 'dead-letters'
    severity: 2
    description: 'Work has died and waits for a person.'
    query: 'customMetrics | where name == "work.dead" | summarize value = sum(valueSum) by bin(timestamp, 5m)'
    threshold: 0
  }
  {
    name: 'failed-requests'
    severity: 1
    description: 'Requests are answered with 5xx.'
    query: 'requests | where toint(resultCode) >= 500 | summarize value = count() by bin(timestamp, 5m)'
    threshold: 10
  }
]

resource queryAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in queries: {
    name: 'alert-${alert.name}-${suffix}'
    location: location
    tags: tags
    properties: {
      displayName: alert.name
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT5M'
      criteria: {
        allOf: [
          {
            query: alert.query
            metricMeasureColumn: 'value'
            timeAggregation: 'Maximum'
            operator: 'GreaterThan'
            threshold: alert.threshold
          }
        ]
      }
      actions: { actionGroups: told }
    }
  }
]

resource databaseFull 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-postgres-storage-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The database has filled four fifths of its disk.'
    severity: 1
    enabled: true
    scopes: [postgresId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'storage'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'storage_percent'
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: 80
        }
      ]
    }
    actions: [for id in told: { actionGroupId: id }]
  }
}
