using AgentPlatform.Brain.Thinking;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Models;

/// <summary>What can be read of a form that is still being written.</summary>
public sealed class DraftTextTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("{", "")]
    [InlineData("""{"say": ["Hel""", "Hel")]
    [InlineData("""{"say": ["Hello.", "How""", "Hello.\nHow")]
    [InlineData("""{"say": ["Hello."], "because": "was greeted", "ask": "Which to""", "Hello.\nWhich to")]
    [InlineData("""{"ask": "Which town?", "say": ["Hello."]}""", "Hello.\nWhich town?")]
    [InlineData("""{"do": [{"action": "ask", "params": {"say": ["no"], "ask": "no"}}], "say": ["Yes"]""", "Yes")]
    [InlineData("""{"because": "{\"say\": [\"no\"]}", "ask": "\"Yes\"\u00e4""", "\"Yes\"ä")]
    [InlineData("""{"ask": "one\ntwo\""", "one\ntwo")]
    [InlineData("""{"ask": "half \ud83d""", "half ")]
    [InlineData("""{"ask": "half \ud83d\ude00 whole \u00""", "half 😀 whole ")]
    [InlineData("""{"ask": null, "say": "no list", "handoff": "Bye""", "")]
    [InlineData("""Sure! ```json {"say": ["Fenced""", "Fenced")]
    [InlineData("""{"say": ["First."]} {"say": ["Second."]}""", "First.")]
    [InlineData("no form at all", "")]
    public void Only_what_is_said_and_asked_is_read_as_far_as_it_goes(string form, string text) => Assert.Equal(text, DraftText.Of(form));

    [Fact]
    public void A_draft_only_ever_grows()
    {
        var form = Json.Text(new { because = "because", say = new[] { "Quote \" and \\ and \n line", "Emoji 😀 ü", "" }, @do = new[] { new { action = "x", @params = new { say = "no" } } }, ask = "Which town?" });
        var whole = "Quote \" and \\ and \n line\nEmoji 😀 ü\nWhich town?";

        var drafts = Enumerable.Range(0, form.Length + 1).Select(length => DraftText.Of(form[..length])).ToList();

        Assert.All(drafts, draft => Assert.StartsWith(draft, whole, StringComparison.Ordinal));
        Assert.All(drafts.Zip(drafts.Skip(1)), pair => Assert.True(pair.First.Length <= pair.Second.Length));
        Assert.Equal(whole, drafts[^1]);
    }
}
