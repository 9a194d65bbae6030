using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Nlu;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Brain.Nlu;

/// <summary>Words, concepts, values and requests in a text, without a database.</summary>
public sealed class ReadingTests
{
    private static readonly DateOnly Monday = new(2026, 5, 4);

    [Theory]
    [InlineData("What's UP?", "what is up ?")]
    [InlineData("I can’t, won't and didn't", "i can not will not and did not")]
    [InlineData("they've Crêpes", "they have crepes")]
    [InlineData("pay $1500 at 3pm", "pay $ 0000 at 0pm")]
    public void Words_are_read_in_one_form(string text, string words) => Assert.Equal(words, string.Join(' ', Utterance.Words(text)));

    [Fact]
    public void Words_of_one_meaning_share_a_concept()
    {
        Assert.Contains("dish", Lexicon.Of(["lasagna"])[0]);
        Assert.Contains("dish", Lexicon.Of(["burritos"])[0]);
        var phrase = Lexicon.Of(["in", "new", "york"]);
        Assert.Empty(phrase[0]);
        Assert.All(phrase[1..], concepts => Assert.Contains("city", concepts));
    }

    [Theory]
    [InlineData("it costs $1,250.50 in all", "money", "1250.50 USD", "$1,250.50")]
    [InlineData("about 20 euros", "money", "20 EUR", "20 euros")]
    [InlineData("5k usd", "money", "5000 USD", "5k usd")]
    [InlineData("at 3pm", "time", "15:00", "3pm")]
    [InlineData("at 12 a.m.", "time", "00:00", "12 a.m")]
    [InlineData("from 09:30 on", "time", "09:30", "09:30")]
    [InlineData("half past nine", "time", "09:30", "half past nine")]
    [InlineData("quarter to 5 pm", "time", "16:45", "quarter to 5 pm")]
    [InlineData("at noon", "time", "12:00", "noon")]
    [InlineData("the third one", "ordinal", "3", "third")]
    [InlineData("the 22nd", "ordinal", "22", "22nd")]
    [InlineData("the last one", "ordinal", "-1", "last")]
    [InlineData("twenty-five people", "number", "25", "twenty-five")]
    [InlineData("two hundred and six", "number", "206", "two hundred and six")]
    [InlineData("jobs in new york please", "place", "New York", "new york")]
    [InlineData("roast Turkey", "place", "Turkey", "Turkey")]
    [InlineData("yeah", "answer", "yes", "yeah")]
    public void Values_are_found_with_their_place(string text, string type, string value, string said)
    {
        var entity = Assert.Single(Entities.Find(text, Monday), e => e.Type == type);

        Assert.Equal((value, said), (entity.Value, entity.Text));
        Assert.Equal(said, text.Substring(entity.Start, said.Length));
    }

    [Theory]
    [InlineData("call me at 25:00", "time")]
    [InlineData("13 pm", "time")]
    [InlineData("we are 3", "time")]
    [InlineData("3 pounds of flour and 1.5", "time")]
    [InlineData("roast turkey", "place")]
    [InlineData("the red one", "number")]
    [InlineData("lasting", "ordinal")]
    [InlineData("yes or no is the question", "answer")]
    public void What_only_looks_like_a_value_is_none(string text, string type) => Assert.DoesNotContain(Entities.Find(text, Monday), e => e.Type == type);

    [Fact]
    public void An_agent_knows_values_of_its_own_by_list_pattern_and_example()
    {
        var action = new ActionDefinition
        {
            ActionId = "track",
            ActionName = "track",
            ParamsRequired = Json.Of(new[] { "size", "order", "city" }),
            ParamValidation = Json.Of(new { size = new { @enum = new[] { "small", "extra large" } }, order = new { pattern = "^[A-Z]{2}[0-9]{4}$" }, city = new { extract = new[] { "to {value}" } } }),
        };

        var found = CustomEntities.Find([action], "send the Extra Large one, AB1234, to Oslo");

        Assert.Equal([("size", "extra large", 9), ("order", "AB1234", 26), ("city", "Oslo", 37)], found.Select(e => (e.Type, e.Value, e.Start)));
        Assert.Equal("Extra Large", found[0].Text);
        Assert.Empty(CustomEntities.Find([action], "small talk is not AB12345").Where(e => e.Type == "order"));
    }

    [Theory]
    [InlineData("search jobs and cancel my application", new[] { "search jobs", "cancel my application" })]
    [InlineData("find jobs and withdraw my application", new[] { "find jobs", "withdraw my application" })]
    [InlineData("find jobs in Berlin and Hamburg", new[] { "find jobs in Berlin and Hamburg" })]
    [InlineData("find jobs and look for work", new[] { "find jobs and look for work" })]
    public void A_sentence_is_several_requests_when_each_part_names_an_action_of_its_own(string sentence, string[] requests) =>
        Assert.Equal(requests, Recognition.Requests([Jobs.Search, Jobs.CancelApplication], sentence, new BrainOptions()));
}
