// Runs one phase of DBOS Transact against DATABASE_URL and prints its figure as JSON: node workflows.mjs dbos PHASE COUNT
import { DBOS } from '@dbos-inc/dbos-sdk'

const [phase, count] = [process.argv[3], Number(process.argv[4])]
const seconds = since => Number(process.hrtime.bigint() - since) / 1e9

const add = async n => n + 1

const fiveSteps = DBOS.registerWorkflow(async n => {
  for (let i = 0; i < 5; i++) n = await DBOS.runStep(() => add(n), { name: 'add' })
  return n
}, { name: 'fiveSteps' })

const fanOut = DBOS.registerWorkflow(async width => {
  const results = await Promise.all(Array.from({ length: width }, (_, i) => DBOS.runStep(() => add(i), { name: 'add' })))
  return results.length
}, { name: 'fanOut' })

/** Runs `total` workflows, `width` at a time. */
async function flight(total, width) {
  let left = total
  const lane = async () => {
    while (left-- > 0) if ((await fiveSteps(0)) !== 5) throw new Error('a workflow gave a wrong result')
  }
  await Promise.all(Array.from({ length: width }, lane))
}

const phases = {
  steps: async () => {
    await flight(200, 32)
    const began = process.hrtime.bigint()
    await flight(count, 32)
    return (count * 5) / seconds(began)
  },
  alone: async () => {
    await flight(50, 1)
    const times = []
    for (let i = 0; i < count; i++) {
      const began = process.hrtime.bigint()
      await flight(1, 1)
      times.push(seconds(began) * 1000)
    }
    return times.sort((a, b) => a - b)[Math.floor(count / 2)]
  },
  fanout: async () => {
    await flight(50, 1)
    const began = process.hrtime.bigint()
    if ((await fanOut(count)) !== count) throw new Error('steps are missing')
    return seconds(began)
  },
}

const url = new URL(process.env.DATABASE_URL)
url.pathname = '/dbos'
DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url.href, systemDatabasePoolSize: 32, logLevel: 'error', runAdminServer: false })
await DBOS.launch()
console.log(JSON.stringify({ figure: await phases[phase]() }))
await DBOS.shutdown()
process.exit(0)
