using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Brain;

/// <summary>What words mean, without a database.</summary>
public sealed class UnderstandingTests
{
    private static readonly DateOnly Monday = new(2026, 5, 4);
    private static readonly ActionDefinition[] Actions = [Jobs.Search, Jobs.Apply, Jobs.CancelApplication];

    [Theory]
    [Behaviour("brain-intent-match-type", "brain-registry-fuzzy-match", "brain-registry-synonym-match", "brain-registry-match-precedence")]
    [InlineData("search jobs", "exact", "search_jobs")]
    [InlineData("Please SEARCH jobs in Berlin!", "exact", "search_jobs")]
    [InlineData("job openings", "synonym", "search_jobs")]
    [InlineData("find me remote nurse jobs", "synonym", "search_jobs")]
    [InlineData("serch jobs", "fuzzy", "search_jobs")]
    [InlineData("withdraw my aplication", "fuzzy", "cancel_application")]
    [InlineData("what is the weather", "not_found", null)]
    [InlineData("", "not_found", null)]
    public void Sentences_are_matched_exactly_then_by_synonym_then_by_likeness(string said, string type, string? action)
    {
        var match = ActionMatcher.Match(Actions, said, 80);

        Assert.Equal((type, action), (match.MatchType, match.Action?.ActionId));
    }

    [Fact]
    [Behaviour("brain-registry-fuzzy-match", "brain-registry-match-precedence")]
    public void Confidence_falls_from_exact_over_synonym_to_fuzzy_and_the_first_kind_wins()
    {
        var exact = ActionMatcher.Match(Actions, "search jobs", 80);
        var synonym = ActionMatcher.Match(Actions, "find jobs", 80);
        var fuzzy = ActionMatcher.Match(Actions, "serch jobs", 80);
        var clash = new ActionDefinition { ActionId = "other", ActionName = "other", Synonyms = Json.Of(new[] { "search jobs" }) };

        Assert.True(exact.Confidence > synonym.Confidence && synonym.Confidence > fuzzy.Confidence && fuzzy.Confidence > 0.5m);
        Assert.Equal(("exact", "search_jobs"), (ActionMatcher.Match([clash, .. Actions], "search jobs", 80).MatchType, ActionMatcher.Match([clash, .. Actions], "search jobs", 80).Action!.ActionId));
    }

    [Theory]
    [InlineData("mail Ada@Example.COM please", "email", "ada@example.com")]
    [InlineData("see https://example.com/a?b=1.", "url", "https://example.com/a?b=1")]
    [InlineData("I'm at linkedin.com/in/ada", "url", "https://linkedin.com/in/ada")]
    [InlineData("call +1 (415) 555-0100 now", "phone", "+14155550100")]
    [InlineData("take #2", "choice", "2")]
    [InlineData("option 3 please", "choice", "3")]
    [InlineData("pay 1,250.50 euros", "number", "1250.50")]
    [InlineData("tomorrow", "date", "2026-05-05")]
    [InlineData("on friday", "date", "2026-05-08")]
    [InlineData("next monday", "date", "2026-05-11")]
    [InlineData("3rd of nothing but May 20th", "date", "2026-05-20")]
    [InlineData("5 January", "date", "2027-01-05")]
    [InlineData("by 2026-12-24", "date", "2026-12-24")]
    [InlineData("my name is Ada Lovelace", "name", "Ada Lovelace")]
    public void Entities_are_found_and_normalised(string text, string type, string value) =>
        Assert.Equal(value, Entities.Find(text, Monday).First(type));

    [Theory]
    [InlineData("I'm looking for work", "name")]
    [InlineData("the year 12345678901234567890", "phone")]
    [InlineData("version 1.2", "date")]
    [InlineData("order#2x", "choice")]
    public void What_only_looks_like_an_entity_is_none(string text, string type) => Assert.Null(Entities.Find(text, Monday).First(type));

    [Theory]
    [Behaviour("brain-session-signals", "brain-session-answer-sheet")]
    [InlineData("#2", "#2")]
    [InlineData("2", "#2")]
    [InlineData("the second one", "#2")]
    [InlineData("I'll take the second one please", "#2")]
    [InlineData("Globex", "#2")]
    [InlineData("the last one", "#2")]
    [InlineData("first", "#1")]
    [InlineData("#3", null)]
    [InlineData("neither", null)]
    public void A_short_reply_picks_an_offered_option(string reply, string? option) =>
        Assert.Equal(option, Signals.Resolve(Signals.Choice(["Acme", "Globex"]), reply));

    [Theory]
    [InlineData("yeah", "yes")]
    [InlineData("Sure!", "yes")]
    [InlineData("ok thanks", "yes")]
    [InlineData("nope", "no")]
    [InlineData("no, thanks", "no")]
    [InlineData("maybe", null)]
    public void Yes_and_no_have_many_words(string reply, string? option) => Assert.Equal(option, Signals.Resolve(Signals.Confirmation(), reply));

    [Theory]
    [InlineData("STOP", ControlWord.Stop)]
    [InlineData("please don't text me again", ControlWord.Stop)]
    [InlineData("Take me off your list.", ControlWord.Stop)]
    [InlineData("don't text me until Monday", ControlWord.None)]
    [InlineData("where does the bus stop", ControlWord.None)]
    [InlineData("start", ControlWord.Start)]
    [InlineData("help", ControlWord.Help)]
    public void The_wish_to_be_left_alone_is_understood_in_words_too(string text, ControlWord word) => Assert.Equal(word, Signals.Control(text));

    [Fact]
    public void Sentences_end_where_people_end_them()
    {
        Assert.Equal(["find jobs", "cancel my application"], Phrases.Sentences("find jobs and then cancel my application"));
        Assert.Equal(["search jobs", "pay 2.50 now"], Phrases.Sentences("search jobs! pay 2.50 now?"));
    }

    [Fact]
    public void An_entity_fills_one_parameter_and_the_asked_one_takes_the_whole_answer()
    {
        var values = ParameterReader.Read(Jobs.Apply, "J42", Entities.Find("J42", Monday), asked: "job_id");

        Assert.Equal("J42", Assert.Single(values).Value.GetString());
        Assert.Equal("""{"job_title":"software engineer","location":"Berlin"}""",
            JsonSerializer.Serialize(ParameterReader.Read(Jobs.Search, "find me software engineer jobs in Berlin", [], asked: null)));
    }
}
