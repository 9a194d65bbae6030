namespace AgentPlatform.Postgres;

/// <summary>
/// One table that holds rows of contacts, and the statements that hand them out and remove them. Both run for one tenant, under row level security.
/// </summary>
/// <param name="Table">The table with its schema; the name under which an export shows it.</param>
/// <param name="Export">The rows of the contacts <c>$1</c> (uuid[]) as JSON text, in a fixed order, after the first <c>$2</c>, at most <c>$3</c>. No secret is among them.</param>
/// <param name="Erase">
/// Deletes or blanks at most <c>$2</c> rows of the contacts <c>$1</c>, each row once, and returns their ids. Null: the rows go with those of another table, or
/// say nothing of a person.
/// </param>
/// <param name="Page">Rows that are read at a time: few where one may be large.</param>
public sealed record Kept(string Table, string Export, string? Erase = null, int Page = 200);

/// <summary>
/// What a module keeps about contacts. Of modules that build on each other the later one's rows go first, and in a module those of the first table.
/// </summary>
public interface IKeepsPersonalData
{
    IReadOnlyList<Kept> Kept { get; }
}

/// <summary>A module that keeps something of rows of others, known by their ids: events, changes, work. It goes with the rows, in their transaction.</summary>
public interface IKeepsTraces
{
    void Forget(Transaction tx, Guid[] rows);
}
