using System.Text.Json;
using AgentPlatform.Brain.Nlu;

namespace AgentPlatform.Tests.Brain.Nlu;

/// <summary>The classifier on a few dozen sentences, without a database.</summary>
public sealed class IntentTrainerTests
{
    private static readonly LabelledUtterance[] Examples =
    [
        .. Of("book_table", "book a table for two", "reserve a table tonight", "i want to eat at your place on friday", "do you have room for four people at eight", "a table near the window please", "can we come for dinner tomorrow", "make a dinner reservation", "table for six at noon"),
        .. Of("cancel_table", "cancel my table", "we cannot come tonight", "please drop our reservation", "call off the dinner on friday", "i have to cancel the booking", "forget about our table", "we will not make it tomorrow", "cancel the reservation for six"),
        .. Of("opening_hours", "when do you open", "what are your opening hours", "are you open on sunday", "how late are you open tonight", "what time do you close", "are you closed on holidays", "until when can we order", "do you open for breakfast"),
        .. Of("see_menu", "what is on the menu", "show me the menu", "do you have vegetarian dishes", "what can i eat at your place", "is there gluten free pasta", "which wines do you serve", "what is the dish of the day", "how much is the steak"),
        .. Of(null, "who won the match", "what is the capital of france", "my phone is broken", "sing me a song", "how tall is the eiffel tower", "translate cheese into german", "tell me about your childhood", "what is seven times eight", "is it going to rain", "i lost my umbrella"),
    ];

    private static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private static readonly Lazy<IntentModel> Model = new(() => IntentTrainer.Train(Examples, seed: 1, cores: 2, CancellationToken.None));

    [Theory]
    [InlineData("could you reserve us a table for tomorrow", "book_table")]
    [InlineData("please cancel our dinner reservation", "cancel_table")]
    [InlineData("what time do you open tomorrow", "opening_hours")]
    [InlineData("is there a vegetarian dish on the menu", "see_menu")]
    public void What_was_never_said_in_these_words_is_recognised(string text, string intent)
    {
        var said = Model.Value.Classify(text);

        Assert.Equal(intent, said.Intent);
        Assert.Equal(intent, said.Ranked[0].Intent);
        Assert.True(said.Ranked[0].Confidence > said.Ranked[1].Confidence && said.Ranked[0].Confidence <= 1);
    }

    [Theory]
    [InlineData("how tall is the tower in france")]
    [InlineData("what is nine times seven")]
    [InlineData("")]
    [InlineData("🙂🙂🙂")]
    [InlineData("今天天气怎么样")]
    [InlineData("?!")]
    public void What_nothing_was_taught_for_is_no_intent(string text)
    {
        var said = Model.Value.Classify(text);

        Assert.True(!said.InScope || said.Ranked[0].Confidence < 0.5, $"{said.Intent} {said.Ranked[0].Confidence}");
    }

    [Fact]
    public void No_text_is_too_odd_to_be_read()
    {
        string[] odd = [new('x', 5000), string.Concat(Enumerable.Repeat("book a table for two ", 250)), "réservez une table s'il vous plaît 🍽️", "احجز طاولة لشخصين", "\ud83d", "\0\u0007", "' ' '", "12345678901234567890"];

        Assert.All(odd, text => Assert.Equal(4, Model.Value.Classify(text).Ranked.Count));
        Assert.Equal("book_table", Model.Value.Classify(odd[1]).Intent);
    }

    [Fact]
    public void The_same_seed_gives_the_same_model_on_any_number_of_cores_and_another_seed_another()
    {
        var bytes = IntentModelFile.Write(Model.Value);

        Assert.Equal(bytes, IntentModelFile.Write(IntentTrainer.Train(Examples, seed: 1, cores: 1, CancellationToken.None)));
        Assert.NotEqual(bytes, IntentModelFile.Write(IntentTrainer.Train(Examples, seed: 2, cores: 1, CancellationToken.None)));
    }

    [Fact]
    public void A_model_that_was_stored_and_read_again_answers_the_same()
    {
        var read = IntentModelFile.Read(IntentModelFile.Write(Model.Value))!;

        foreach (var text in Examples.Select(e => e.Text).Append("could you reserve us a table for tomorrow"))
        {
            var (before, after) = (Model.Value.Classify(text), read.Classify(text));
            Assert.Equal((before.InScope, before.Ranked[0].Intent), (after.InScope, after.Ranked[0].Intent));
            Assert.Equal(before.Ranked[0].Confidence, after.Ranked[0].Confidence, tolerance: 0.02);
        }

        Assert.Equal(Model.Value.Calibration, read.Calibration);
    }

    [Fact]
    public void Bytes_of_another_layout_are_no_model()
    {
        var bytes = IntentModelFile.Write(Model.Value);
        bytes[0]++;

        Assert.Null(IntentModelFile.Read(bytes));
    }

    [Fact]
    public void A_single_intent_without_anything_else_cannot_be_trained() =>
        Assert.Throws<ArgumentException>(() => IntentTrainer.Train([new("book a table", "book_table"), new("a table", "book_table")], 1, 1, CancellationToken.None));

    [Fact]
    public void An_evaluation_counts_what_is_rejected_as_not_recognised()
    {
        LabelledUtterance[] asked = [.. Of("see_menu", "what is on the menu", "show me the menu"), .. Of("cancel_table", "who won the match"), .. Of(null, "what is the capital of france", "book a table for two")];

        var result = IntentEvaluation.Run(Examples, asked, seed: 1, CancellationToken.None);

        Assert.Equal((2 / 3.0, 0.5, 0.5, 0.5), (result.AccuracyInScope, result.OosRecall, result.OosPrecision, result.MacroF1));
        Assert.True(result.P50Us > 0 && result.P99Us >= result.P50Us && result.TrainSeconds > 0 && result.ModelBytes > 1000);
        var keys = JsonSerializer.SerializeToElement(result, Snake).EnumerateObject().Select(p => p.Name);
        Assert.Equal(["accuracy_in_scope", "oos_recall", "oos_precision", "macro_f1", "p50_us", "p99_us", "train_seconds", "model_bytes"], keys);
    }

    private static IEnumerable<LabelledUtterance> Of(string? intent, params string[] texts) => texts.Select(text => new LabelledUtterance(text, intent));
}
