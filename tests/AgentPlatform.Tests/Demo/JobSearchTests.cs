using AgentPlatform.Demo;

namespace AgentPlatform.Tests.Demo;

public sealed class JobSearchTests
{
    [Theory]
    [InlineData("software engineer", "Berlin")]
    [InlineData("software engineers", "berlin")]
    [InlineData("find me software engineering jobs", "Berlin, Germany")]
    public void Words_of_the_role_and_the_place_narrow_the_search(string query, string location)
    {
        var found = JobSearch.Find(query, location, role: null);

        Assert.Equal(["J101", "J102", "J103"], found.Jobs.Select(job => job.JobId));
        Assert.Equal(3, found.Count);
    }

    [Fact]
    public void Remote_is_a_place_where_every_remote_job_is()
    {
        var found = JobSearch.Find("software engineer", "remote", role: null);

        Assert.True(found.Count > JobSearch.MaxResults);
        Assert.All(found.Jobs, job => Assert.True(job.Remote));
        Assert.Equal(JobSearch.MaxResults, found.Jobs.Count);
    }

    [Fact]
    public void Nobody_hires_astronauts() => Assert.Equal(0, JobSearch.Find("astronaut", null, null).Count);

    [Fact]
    public void Everything_is_found_when_nothing_is_asked_for() => Assert.Equal(42, JobSearch.Find(null, null, null).Count);

    [Theory]
    [InlineData("J104", "J104")]
    [InlineData("[j104]", "J104")]
    [InlineData("the one with id J104 please", "J104")]
    [InlineData("104", "J104")]
    [InlineData("Data Engineer", "J104")]
    [InlineData("graphic designer at Papermill Studio", "J125")]
    public void A_job_is_named_by_its_id_or_by_a_title_only_it_has(string named, string id) => Assert.Equal(id, JobSearch.Resolve(named)?.JobId);

    [Theory]
    [InlineData("Software Engineer")]
    [InlineData("J999")]
    [InlineData("")]
    [InlineData(null)]
    public void What_names_several_jobs_or_none_names_no_job(string? named) => Assert.Null(JobSearch.Resolve(named));

    [Theory]
    [InlineData("nurse", "Munich", "I found one nurse job in Munich.")]
    [InlineData("software engineer", "Berlin", "I found 3 software engineer jobs in Berlin.")]
    [InlineData("engineer", "", "I found 21 engineer jobs, here are 5.")]
    [InlineData("astronaut", null, "There is no astronaut job.")]
    public void The_headline_says_what_was_found(string role, string? location, string headline) => Assert.Equal(headline, JobSearch.Find(null, location, role).Headline);

    [Fact]
    public void Ids_are_unique() => Assert.Distinct(JobSearch.Find(null, null, null).Jobs.Select(job => job.JobId));
}
