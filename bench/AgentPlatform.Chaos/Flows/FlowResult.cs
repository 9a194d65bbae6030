using System.Globalization;
using AgentPlatform.Chaos.Reports;

namespace AgentPlatform.Chaos.Flows;

/// <summary>What the run amounted to.</summary>
internal sealed record FlowFigures(
    IReadOnlyDictionary<TripEnd, int> Trips, int HostsKilled, int PostgresRestarts, int Instances, int Steps, int Interruptions, int ProviderRequests, int Effects,
    int Compensations, TimeSpan Took);

internal sealed record FlowResult(ChaosOptions Options, FlowFigures Figures, IReadOnlyList<string> Violations) : IChaosPart
{
    public string Title => "Workflows";

    public string Markdown => string.Create(CultureInfo.InvariantCulture, $"""
        Written by `./dev chaos --only workflows --workflows {Options.Workflows}`. {Options.Workers} real hosts with a lease of {Options.LeaseSeconds} s, replaced as they die, ran
        {Options.Workflows} instances of a workflow of six steps over PgBouncer in transaction mode: an action, a timer, a sub-workflow of four steps with a timer
        of its own, an event, a step that is refused to some, and a final one. Every 1 to 5 seconds, seed {Options.Seed}, one of these struck:

        | strike | times |
        |---|---:|
        | SIGKILL of a host; another starts | {Figures.HostsKilled} |
        | immediate stop of Postgres, restart | {Figures.PostgresRestarts} |

        The provider that the steps call keeps a ledger of its own, in another process. Each instance's rows are held against it: how it ended, each step
        and each undoing once and in order, the provider's references in the rows of the steps, the event taken once, no sleep too short, nothing left over:

        | | |
        |---|---:|
        | instances that go through | {Figures.Trips[TripEnd.Departed]} |
        | instances whose sub-workflow is refused: it undoes itself, then what came before is undone | {Figures.Trips[TripEnd.Declined]} |
        | instances that are refused after the event: sub-workflow and first step are undone | {Figures.Trips[TripEnd.TurnedBack]} |
        | instances with those of the sub-workflow | {Figures.Instances} |
        | steps done, skipped, refused or undone | {Figures.Steps} |
        | pieces of work that a strike interrupted | {Figures.Interruptions} |
        | requests at the provider | {Figures.ProviderRequests} |
        | effects at the provider | {Figures.Effects} |
        | of which compensations | {Figures.Compensations} |
        | the whole run, on {Environment.ProcessorCount} cores | {Figures.Took.TotalSeconds:0} s |

        The last host that works is spared, so there are fewer SIGKILLs where hosts start slowly. The command runs {new ChaosOptions("").Workflows} instances unless told.

        {Verdict.Of(Violations, "every instance ended right, every effect and every compensation happened once")}
        """);
}
