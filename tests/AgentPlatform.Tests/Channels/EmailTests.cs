using System.Net;
using System.Net.Http.Headers;
using System.Text;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Channels;

/// <summary>Mail in, as SendGrid and as JSON, and the reply out by SMTP in the same thread.</summary>
public sealed class EmailTests : IAsyncLifetime
{
    private readonly FakeSmtp _smtp = new();
    private ChannelStage _stage = null!;
    private ChannelView _channel = null!;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync(null, ("Channels:Email:Smtp", _smtp.Address), ("Channels:Email:MaxMegabytes", "1"));
        _channel = await _stage.ChannelAsync(new ChannelInput("email", "Support") { ProviderConfig = Json.Of(new { from = "Agent Ünal <agent@support.example>" }) });
    }

    public async Task DisposeAsync()
    {
        await _stage.DisposeAsync();
        await _smtp.DisposeAsync();
    }

    [Fact]
    public async Task A_mail_from_sendgrid_is_answered_in_its_thread()
    {
        using var answer = await PostAsync(SendGrid("Jane Doe <Jane@Example.COM>", "Flights?", "Any flights?\r\n\r\nOn Mon, Bob <b@x.org> wrote:\r\n> hi", "Message-ID: <m1@example.com>\r\nReferences: <m0@example.com>\r\n <m00@example.com>\r\n"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages i JOIN contacts.customer_profiles c ON c.id = i.contact_id
            WHERE i.external_message_id = 'm1@example.com' AND i.content = 'Any flights?' AND i.sender_identifier = 'jane@example.com' AND i.sender_name = 'Jane Doe'
              AND i.content_parsed ->> 'subject' = 'Flights?' AND i.content_parsed ->> 'text' LIKE '%wrote:%' AND c.email = 'jane@example.com'
            """));
        var mail = Assert.Single(_smtp.Mails);
        Assert.Equal(("agent@support.example", "jane@example.com"), (mail.From, mail.To));
        Assert.Equal("You said: Any flights?", mail.Text);
        Assert.Equal("Re: Flights?", mail.Header("Subject"));
        Assert.Equal("<m1@example.com>", mail.Header("In-Reply-To"));
        Assert.Equal("<m0@example.com> <m00@example.com> <m1@example.com>", mail.Header("References"));
        var outboundId = await _stage.ValueAsync<Guid>("SELECT id FROM channels.outbound_messages");
        Assert.Equal($"<{outboundId:N}@support.example>", mail.Header("Message-ID"));
        Assert.Contains("=?utf-8?B?", mail.Header("From"));
    }

    [Fact]
    [Behaviour("bb-inbound-thread")]
    public async Task An_answer_to_our_mail_finds_the_message_it_goes_back_to()
    {
        using var first = await PostAsync(JsonMail(new { from = "jane@example.com", subject = "Hi", text = "one", message_id = "<a@x>" }));
        await _stage.SettleAsync();
        var ours = Assert.Single(_smtp.Mails).Header("Message-ID");
        using var second = await PostAsync(JsonMail(new { from = "jane@example.com", subject = "Re: Hi", text = "two", message_id = "<b@x>", in_reply_to = ours, references = new[] { "<a@x>", ours } }));
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages c JOIN channels.inbound_messages p ON p.id = c.parent_message_id
            WHERE c.external_message_id = 'b@x' AND p.external_message_id = 'a@x' AND c.is_part_of_thread AND c.conversation_id = p.conversation_id
            """));
    }

    [Fact]
    public async Task Attachments_are_kept_with_their_bytes_and_served_only_for_download()
    {
        var form = SendGrid("jane@example.com", "CV", "see attached", "Message-ID: <f@x>\r\n");
        var file = new ByteArrayContent([1, 2, 3]);
        file.Headers.ContentType = new MediaTypeHeaderValue("application/pdf");
        form.Add(file, "attachment1", "../../etc/cv.pdf");
        using var answer = await PostAsync(form);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages m JOIN channels.inbound_attachments a ON a.inbound_message_id = m.id
            WHERE m.has_attachments AND m.attachments -> 0 ->> 'file_name' = 'cv.pdf' AND (m.attachments -> 0 ->> 'size')::int = 3
              AND (m.attachments -> 0 ->> 'id')::uuid = a.id AND a.content = '\x010203' AND a.content_type = 'application/pdf'
            """));
    }

    [Fact]
    public async Task A_mail_in_another_charset_is_read_in_it()
    {
        var form = new MultipartFormDataContent
        {
            { new StringContent("jane@example.com"), "from" },
            { new ByteArrayContent(Encoding.Latin1.GetBytes("Grüße")), "text" },
            { new StringContent("""{"text":"iso-8859-1","from":"UTF-8"}"""), "charsets" },
        };
        using var answer = await PostAsync(form);
        Assert.Equal("Grüße", await _stage.ValueAsync<string>("SELECT content FROM channels.inbound_messages"));
    }

    [Fact]
    public async Task An_automatic_answer_is_kept_and_not_answered()
    {
        using var answer = await PostAsync(SendGrid("jane@example.com", "Out of office", "I am away", "Message-ID: <o@x>\r\nAuto-Submitted: auto-replied\r\n"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await _stage.SettleAsync();
        Assert.Empty(_smtp.Mails);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages WHERE processing_status = 'ignored' AND processed_at IS NOT NULL"));
    }

    [Fact]
    [Behaviour("bb-inbound-dedupe")]
    public async Task The_same_message_id_is_taken_once()
    {
        using var first = await PostAsync(JsonMail(new { from = "jane@example.com", text = "one", message_id = "<a@x>" }));
        using var second = await PostAsync(JsonMail(new { from = "jane@example.com", text = "one", message_id = "<a@x>" }));
        Assert.Equal(await first.Content.ReadAsStringAsync(), await second.Content.ReadAsStringAsync());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
    }

    [Theory]
    [InlineData("""{"text": "no sender"}""", "application/json", 400)]
    [InlineData("""{"from": "not an address", "text": "x"}""", "application/json", 400)]
    [InlineData("""{"from": "jane@example.com"}""", "application/json", 400)]
    [InlineData("""{"from": "jane@example.com", "text": 1}""", "application/json", 400)]
    [InlineData("""{"from": """, "application/json", 400)]
    [InlineData("--b\r\nContent-Disposition: form-data; name=\"from\"\r\n\r\njane@example.com\r\n--b\r\nContent-Disposition: form-data; name=\"charsets\"\r\n\r\n{\"from\": 5}\r\n--b--\r\n", "multipart/form-data; boundary=b", 400)]
    [InlineData("x", "multipart/form-data", 400)]
    [InlineData("x", "multipart/form-data; boundary=b", 400)]
    [InlineData("x", "message/rfc822", 415)]
    public async Task What_is_not_a_mail_is_refused(string body, string type, int status)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        using var answer = await PostAsync(content);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
    }

    [Fact]
    public async Task A_mail_over_the_limit_is_too_large()
    {
        using var answer = await PostAsync(JsonMail(new { from = "jane@example.com", text = new string('x', 1_100_000) }));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task A_channel_that_has_a_secret_demands_it()
    {
        await _stage.Platform.Get<RotateChannel>().SecretAsync(_stage.System, _channel.Id, new Rotation(null) { Secret = "mail-password" }, CancellationToken.None);
        using var without = await PostAsync(JsonMail(new { from = "jane@example.com", text = "x" }));
        using var wrong = await PostAsync(JsonMail(new { from = "jane@example.com", text = "x" }), "other-password");
        using var right = await PostAsync(JsonMail(new { from = "jane@example.com", text = "x" }), "mail-password");
        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden, HttpStatusCode.OK), (without.StatusCode, wrong.StatusCode, right.StatusCode));
    }

    [Fact]
    public async Task A_channel_whose_secret_cannot_be_opened_takes_nothing()
    {
        await _stage.Platform.Get<RotateChannel>().SecretAsync(_stage.System, _channel.Id, new Rotation(null) { Secret = "mail-password" }, CancellationToken.None);
        await _stage.CountAsync("WITH c AS (UPDATE channels.user_webhooks SET secret_keys = jsonb_set(secret_keys, '{0,sealed}', '\"gone.AAAA\"') RETURNING 1) SELECT count(*) FROM c");

        using var unsigned = await PostAsync(JsonMail(new { from = "jane@example.com", text = "x" }));

        Assert.Equal(HttpStatusCode.InternalServerError, unsigned.StatusCode);
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
    }

    [Fact]
    public async Task A_mail_whose_marks_hide_its_text_is_refused_and_not_tried_for_ever()
    {
        using var answer = await PostAsync(JsonMail(new { from = "jane@example.com", subject = "Hi", html = string.Concat(Enumerable.Repeat("<style ", 100_000)) }));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task No_header_can_be_smuggled_into_a_reply()
    {
        using var answer = await PostAsync(JsonMail(new
        {
            from = "jane@example.com",
            subject = "Hi\r\nBcc: victim@example.com",
            text = "Line\r\n.\r\nMAIL FROM:<x@y>",
            message_id = "<a@x>\r\nBcc: b@x",
        }));
        await _stage.SettleAsync();
        var mail = Assert.Single(_smtp.Mails);
        Assert.Equal(0, mail.Headers("Bcc"));
        Assert.Equal("Re: Hi  Bcc: victim@example.com", mail.Header("Subject"));
        Assert.Contains("\r\n.\r\nMAIL FROM", mail.Text);
    }

    [Theory]
    [InlineData("RCPT", "550 no such user", "failed", 0)]
    [InlineData("RCPT", "450 later", "sent", 1)]
    [InlineData(".", "554 spam", "failed", 0)]
    [InlineData(".", "451 later", "sent", 1)]
    public async Task The_mail_servers_answer_decides(string command, string line, string status, int mails)
    {
        _smtp.Refusal = (command, line);
        using var answer = await PostAsync(JsonMail(new { from = "jane@example.com", text = "x" }));
        await _stage.SettleAsync();
        Assert.Equal(status, await _stage.ValueAsync<string>("SELECT delivery_status FROM channels.outbound_messages"));
        Assert.Equal(mails, _smtp.Mails.Count);
    }

    [Fact]
    public async Task A_mail_whose_answer_was_lost_is_not_sent_again()
    {
        _smtp.DropAfterData = true;
        using var answer = await PostAsync(JsonMail(new { from = "jane@example.com", text = "x" }));
        await _stage.SettleAsync();
        Assert.Single(_smtp.Mails);
        Assert.Equal("unknown", await _stage.ValueAsync<string>("SELECT delivery_status FROM channels.outbound_messages"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.effects WHERE status = 'abandoned' AND probes = 0"));
    }

    private Task<HttpResponseMessage> PostAsync(HttpContent content, string? password = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, _channel.WebhookUrl) { Content = content };
        if (password is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"any:{password}")));
        }

        return _stage.Http.SendAsync(request);
    }

    private static StringContent JsonMail(object mail) => new(Json.Text(mail), Encoding.UTF8, "application/json");

    private static MultipartFormDataContent SendGrid(string from, string subject, string text, string headers) => new()
    {
        { new StringContent(headers), "headers" },
        { new StringContent(from), "from" },
        { new StringContent("agent@support.example"), "to" },
        { new StringContent(subject), "subject" },
        { new StringContent(text), "text" },
        { new StringContent("""{"to":["agent@support.example"],"from":"jane@example.com"}"""), "envelope" },
        { new StringContent("""{"subject":"UTF-8","text":"utf-8"}"""), "charsets" },
    };
}
