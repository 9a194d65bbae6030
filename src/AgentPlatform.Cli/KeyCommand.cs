using System.CommandLine;
using AgentPlatform.Identity;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Cli;

/// <summary>
/// Makes a member's own key, with which they approve: one that an admin of the workspace makes for them does not. Whoever runs this has the database,
/// and hands the key to nobody but the member.
/// </summary>
internal static class KeyCommand
{
    internal static Command Create()
    {
        var tenant = new Argument<Guid>("tenant") { Description = "The workspace's id" };
        var email = new Argument<string>("email") { Description = "The member's address" };
        var name = new Option<string>("--name") { Description = "What the key is called", DefaultValueFactory = _ => "Own key" };
        var command = new Command("key", "Make a member's own key, with all that their role may; it is shown this once") { tenant, email, name };
        command.Run(async (parsed, ct) =>
        {
            await using var services = CliServices.Build();
            await Console.Out.WriteLineAsync(await IssueAsync(services, parsed.GetValue(tenant), parsed.GetValue(email)!, parsed.GetValue(name)!, ct));
            return 0;
        });
        return command;
    }

    internal static async Task<string> IssueAsync(IServiceProvider services, Guid tenant, string email, string name, CancellationToken ct)
    {
        await using var tx = services.GetRequiredService<Database>().Begin(Actor.System(tenant));
        // An account that this makes goes with the transaction: it is no member.
        var user = await services.GetRequiredService<UserDirectory>().EnsureAsync(tx, email, null, ct);
        if (await services.GetRequiredService<MemberDirectory>().ReachableAsync(tx, [user], ct) is not [{ Role: var role }])
        {
            throw new CommandException($"{email} is no active member of that workspace.");
        }

        var issued = await services.GetRequiredService<KeyRing>().IssueAsync(tx, user, new NewApiKey(name, role), ct);
        await tx.CommitAsync(ct);
        return issued.Secret;
    }
}
