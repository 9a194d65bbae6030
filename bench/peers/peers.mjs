// Runs one phase of one peer against DATABASE_URL and prints its figures as JSON: node peers.mjs PEER PHASE JOBS
import pg from 'pg'
import PgBoss from 'pg-boss'
import { Logger, makeWorkerUtils, run } from 'graphile-worker'

const connectionString = process.env.DATABASE_URL
const jobs = Number(process.argv[4])
const seconds = since => Number(process.hrtime.bigint() - since) / 1e9

/** As many as its own performance test uses. */
const concurrency = 24

async function admin(sql) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query(sql)
  await client.end()
}

async function graphile(preset) {
  const pgPool = new pg.Pool({ connectionString, max: concurrency })
  const logger = new Logger(() => () => {})
  const utils = await makeWorkerUtils({ pgPool, logger })
  await utils.migrate()
  for (let done = 0; done < jobs; done += 1000) {
    await utils.addJobs(Array.from({ length: Math.min(1000, jobs - done) }, (_, i) => ({ identifier: 'noop', payload: { id: done + i } })))
  }
  await admin('VACUUM ANALYZE graphile_worker._private_jobs')

  let ran = 0
  const began = process.hrtime.bigint()
  const runner = await run({ pgPool, logger, concurrency, noHandleSignals: true, taskList: { noop: () => void ran++ }, preset })
  // Over when the table is empty: the last completion is written too.
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, ran < jobs ? 5 : 2))
    if (ran >= jobs && (await pgPool.query('SELECT 1 FROM graphile_worker._private_jobs LIMIT 1')).rowCount === 0) break
  }
  const took = seconds(began)
  await runner.stop()
  await utils.release()
  await pgPool.end()
  return { figure: jobs / took }
}

async function boss(work) {
  const boss = new PgBoss({ connectionString, max: 10, supervise: false, schedule: false, migrate: true })
  await boss.start()
  await boss.createQueue('noop')
  try {
    return await work(boss)
  } finally {
    await boss.stop({ graceful: false })
  }
}

const insert = async (boss, from) => {
  for (let done = from; done < from + jobs; done += 1000) {
    await boss.insert(Array.from({ length: 1000 }, (_, i) => ({ name: 'noop', data: { id: done + i } })))
  }
}

const phases = {
  'graphile-worker batched': () => graphile({ worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }),
  'graphile-worker single': () => graphile({ worker: {} }),
  'pg-boss insert': () => boss(async boss => {
    await admin('TRUNCATE pgboss.job')
    const began = process.hrtime.bigint()
    await insert(boss, 0)
    return { figure: jobs / seconds(began) }
  }),
  // Its `work` waits between polls; fetching and completing in two loops without a pause is the fastest it goes.
  'pg-boss batched': () => boss(async boss => {
    await admin('TRUNCATE pgboss.job')
    await insert(boss, 0)
    await admin('VACUUM ANALYZE pgboss.job')
    let ran = 0
    const loop = async () => {
      for (;;) {
        const batch = await boss.fetch('noop', { batchSize: 1000 })
        if (batch.length === 0) return
        await boss.complete('noop', batch.map(job => job.id))
        ran += batch.length
      }
    }
    const began = process.hrtime.bigint()
    await Promise.all([loop(), loop()])
    if (ran !== jobs) throw new Error(`${ran} of ${jobs} jobs ran`)
    return { figure: jobs / seconds(began) }
  }),
}

console.log(JSON.stringify(await phases[`${process.argv[2]} ${process.argv[3]}`]()))
