using AgentPlatform;

var builder = FunctionsApplication.CreateBuilder(args);
builder.ConfigureFunctionsWebApplication();
builder.Services.AddAgentPlatform(builder.Configuration);
builder.Build().Run();
