namespace AgentPlatform.Demo;

/// <summary>A job of the demo board. <see cref="JobId"/> is what applicants name it by.</summary>
public sealed record Job(string JobId, string Title, string Company, string Location, bool Remote, string Salary, string Keywords, string Summary)
{
    /// <summary>One line for a text message.</summary>
    public string Label => $"{Title} at {Company}, {Location}{(Remote ? " (remote possible)" : "")}, {Salary} [{JobId}]";
}

/// <summary>What the board answers to a search, with a sentence that says what was found.</summary>
public sealed record JobResults(string Headline, int Count, IReadOnlyList<Job> Jobs);

/// <summary>Searches the jobs of the demo board: pure, so the same question has the same answer on every host.</summary>
public static class JobSearch
{
    public const int MaxResults = 5;

    /// <summary>Words that say nothing about a job.</summary>
    private static readonly HashSet<string> Filler = new(StringComparer.OrdinalIgnoreCase)
    {
        "a", "an", "any", "the", "for", "in", "at", "of", "to", "me", "my", "i", "and", "or", "with", "near", "as",
        "job", "jobs", "role", "roles", "position", "positions", "opening", "openings", "work", "some", "please", "find", "search", "show", "looking", "open",
    };

    /// <summary>
    /// The best matches first, at most <see cref="MaxResults"/>. Every word of <paramref name="query"/> and <paramref name="role"/> must
    /// be found in the job; "remote" as a location takes every job that can be done remotely.
    /// </summary>
    public static JobResults Find(string? query, string? location, string? role)
    {
        var words = Words(query).Concat(Words(role)).Distinct(StringComparer.OrdinalIgnoreCase).ToArray();
        var wantsRemote = words.Contains("remote", StringComparer.OrdinalIgnoreCase) || IsRemote(location);
        var wanted = words.Where(word => !IsRemote(word)).ToArray();
        var found = (from job in JobCatalogue.All
                     where (!wantsRemote || job.Remote) && IsAt(job, location)
                     let score = Score(job, wanted)
                     where score is not null
                     orderby score descending, job.JobId
                     select job).ToArray();
        return new(Headline(found.Length, role ?? query, location), found.Length, found.Take(MaxResults).ToArray());
    }

    /// <summary>By its id, with or without brackets, or by a title that only one job answers to. Null when there is none, or more than one.</summary>
    public static Job? Resolve(string? text)
    {
        var wanted = text?.Trim().Trim('[', ']', '#', '.', '!') ?? "";
        return JobCatalogue.All.FirstOrDefault(job => wanted.Contains(job.JobId, StringComparison.OrdinalIgnoreCase) || job.JobId[1..] == wanted)
            ?? Single(job => wanted.Length > 0 && string.Equals(job.Title, wanted, StringComparison.OrdinalIgnoreCase))
            ?? Single(job => Words(wanted) is { Length: > 0 } words && Score(job, words) is not null);
    }

    private static string Headline(int count, string? role, string? location)
    {
        var what = string.IsNullOrWhiteSpace(role) ? "" : $"{role.Trim()} ";
        var place = string.IsNullOrWhiteSpace(location) ? "" : $" in {location.Trim()}";
        return count switch
        {
            0 => $"There is no {what}job{place}.",
            1 => $"I found one {what}job{place}.",
            > MaxResults => $"I found {count} {what}jobs{place}, here are {MaxResults}.",
            _ => $"I found {count} {what}jobs{place}.",
        };
    }

    private static Job? Single(Func<Job, bool> isWanted) =>
        JobCatalogue.All.Where(isWanted).Take(2).ToArray() is [var only] ? only : null;

    private static bool IsRemote(string? location) => string.Equals(location?.Trim(), "remote", StringComparison.OrdinalIgnoreCase);

    private static bool IsAt(Job job, string? location) =>
        string.IsNullOrWhiteSpace(location) || IsRemote(location)
        || location.Trim() is var place && (Has(job.Location, place) || Has(place, job.Location.Split(',')[0]));

    /// <summary>Null when a word is nowhere in the job. A word of the title counts more than one of the company or the keywords.</summary>
    private static int? Score(Job job, string[] words)
    {
        var sum = 0;
        foreach (var word in words)
        {
            var stem = Stem(word);
            var score = Has(job.Title, stem) ? 4 : Has(job.Keywords, stem) || Has(job.Company, stem) ? 2 : Has(job.Summary, stem) || Has(job.Location, stem) ? 1 : 0;
            if (score == 0)
            {
                return null;
            }

            sum += score;
        }

        return sum;
    }

    private static string[] Words(string? text) =>
        [.. (text ?? "").Split([' ', ',', '.', ';', '!', '?', '"', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries).Where(word => !Filler.Contains(word)).Take(12)];

    /// <summary>"engineers" also finds "engineer", "engineering" also finds "engineer".</summary>
    private static string Stem(string word) => word.ToLowerInvariant() switch
    {
        { Length: > 6 } w when w.EndsWith("ing", StringComparison.Ordinal) => w[..^3],
        { Length: > 4 } w when w.EndsWith("ies", StringComparison.Ordinal) => w[..^3],
        { Length: > 3 } w when w.EndsWith('s') && !w.EndsWith("ss", StringComparison.Ordinal) => w[..^1],
        var w => w,
    };

    private static bool Has(string text, string part) => text.Contains(part, StringComparison.OrdinalIgnoreCase);
}
